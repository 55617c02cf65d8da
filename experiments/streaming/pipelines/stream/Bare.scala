package benchpaper

import scala.concurrent.Await
import scala.concurrent.duration.Duration

import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.scaladsl.{Sink, Source}

/** The fused pipeline of one stage as anybody would write it, without our harness: the control of `Boundaries`. */
object Bare extends App {
  final class Total(var sum: Long, var count: Long)

  implicit val system: ActorSystem = ActorSystem("bare")
  val (n, passes) = (args(0).toInt, args(1).toInt)
  for (_ <- 1 to passes) {
    val begin = System.nanoTime()
    val total = Await.result(
      Source(0 until n)
        .map(x => x * 6364136223846793005L + 1442695040888963407L)
        .filter(x => (x & 1L) == 0)
        .runWith(Sink.fold(new Total(0, 0)) { (total, x) => total.sum += x; total.count += 1; total }),
      Duration.Inf)
    println(s"${total.sum} ${total.count} ${(System.nanoTime() - begin) / 1e9}")
  }
  System.exit(0)
}
