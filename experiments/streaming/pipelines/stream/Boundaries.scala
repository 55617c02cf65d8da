package benchpaper

import scala.concurrent.{Await, Future}
import scala.concurrent.duration._

import org.apache.pekko.NotUsed
import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.scaladsl.{Sink, Source}

/** Numbers through stages of equal work, with asynchronous boundaries between some of them. */
object Boundaries {
  final class Answer(var sum: Long, var count: Long)

  def main(words: Array[String]): Unit = {
    val args = new Args(words)
    val (stages, boundaries) = (args.int("stages"), args.int("boundaries"))
    val (work, batch) = (args.int("work"), args.int("batch"))
    implicit val system: ActorSystem = ActorSystem("boundaries")
    var rate = 1e4
    // In CPU time: on a busy machine the compiler gets as few turns as the pipeline.
    val warm = Report.cpu() + args.double("warmup")
    var warmed = 0L
    while (Report.cpu() < warm || warmed < args.long("least")) {
      val n = math.max(1000, math.min(1e9, rate * 0.1)).toInt
      val begin = System.nanoTime()
      run(n, stages, boundaries, work, batch)
      warmed += n
      rate = n / ((System.nanoTime() - begin) / 1e9)
    }
    val n = math.max(1000, math.min(1e9, rate * args.double("seconds"))).toInt
    val (cpu, allocated, begin) = (Report.cpu(), Report.allocated(), System.nanoTime())
    val answer = run(n, stages, boundaries, work, batch)
    val seconds = (System.nanoTime() - begin) / 1e9
    Report.line("events" -> n, "seconds" -> seconds, "count" -> answer.count, "sum" -> answer.sum,
      "cpu_s" -> (Report.cpu() - cpu), "allocated" -> (Report.allocated() - allocated))
    System.exit(0)
  }

  private def run(n: Int, stages: Int, boundaries: Int, work: Int, batch: Int)(implicit system: ActorSystem): Answer =
    Await.result(pipeline(n, stages, boundaries, work, batch), Duration.Inf)

  private def pipeline(n: Int, stages: Int, boundaries: Int, work: Int, batch: Int)(
      implicit system: ActorSystem): Future[Answer] = {
    var source: Source[Long, NotUsed] = Source(0 until n).map(x => Work(x.toLong, work))
    for (stage <- 1 until stages) {
      // Boundaries are spread evenly: after a stage where another share of the stages is full.
      if (stage * (boundaries + 1) / stages != (stage - 1) * (boundaries + 1) / stages) source = crossing(source, batch)
      source = source.map(x => Work(x, work))
    }
    source.filter(x => (x & 1L) == 0).runWith(Sink.fold(new Answer(0, 0)) { (answer, x) =>
      answer.sum += x
      answer.count += 1
      answer
    })
  }

  private def crossing(source: Source[Long, NotUsed], batch: Int): Source[Long, NotUsed] =
    if (batch == 1) source.async else source.grouped(batch).async.mapConcat(identity[collection.immutable.Seq[Long]])
}
