package benchpaper

import java.util.concurrent.atomic.AtomicLong

import scala.concurrent.{Await, ExecutionContext, Future}
import scala.concurrent.duration._

import org.apache.pekko.{Done, NotUsed}
import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.{OverflowStrategy, RestartSettings}
import org.apache.pekko.stream.scaladsl.{BroadcastHub, Flow, Keep, MergeHub, PartitionHub, RestartFlow, Sink, Source}

/** A number on its way, and when it entered the stream. */
final class Numbered(val number: Int, val entered: Long)

/** Patterns of streams, one at a time: what each does to order, loss, latency and memory. The sink takes `sink_ns` for each. */
object Patterns {
  private val Wide = 8
  private val Burst = 2 // elements of a substream
  private val Pause = 20.milliseconds

  /** What a sink saw: how many, how many after a higher one, and how long each was on its way. */
  private final class Seen(n: Int, sinkNanos: Long) {
    private val latencies = new Array[Long](n)
    var (received, disorder, highest) = (0, 0, -1)

    def take(each: Numbered): Unit = synchronized {
      val now = System.nanoTime()
      if (received < n) latencies(received) = now - each.entered
      received += 1
      if (each.number < highest) disorder += 1 else highest = each.number
      if (sinkNanos > 0) Work.spinUntil(now + sinkNanos)
    }

    def begun: Boolean = synchronized { received > 0 }

    def save(path: String): Unit = Report.samples(path, latencies, math.min(received, n))
  }

  def main(words: Array[String]): Unit = {
    val args = new Args(words)
    implicit val system: ActorSystem = ActorSystem("patterns")
    val (n, sink) = (args.int("events"), args.long("sink_ns"))
    run(args, new Seen(n / 2, sink), n / 2) // warm-up
    val before = used()
    val (seen, cpu, begin) = (new Seen(n, sink), Report.cpu(), System.nanoTime())
    val held = run(args, seen, n)
    val seconds = (System.nanoTime() - begin) / 1e9
    seen.save(args.text("samples"))
    Report.line("offered" -> n, "received" -> seen.received, "disorder" -> seen.disorder, "seconds" -> seconds,
      "cpu_s" -> (Report.cpu() - cpu), "held_mib" -> math.max(0, held - before))
    System.exit(0)
  }

  /** The heap in use after a collection, in MiB. */
  private def used(): Double = {
    System.gc()
    val runtime = Runtime.getRuntime
    (runtime.totalMemory - runtime.freeMemory) / 1048576.0
  }

  /** Runs a pattern to its end; returns the heap in use while its last element passes. */
  private def run(args: Args, seen: Seen, n: Int)(implicit system: ActorSystem): Double = {
    import system.dispatcher
    val held = new AtomicLong
    val last = new Numbered(n, 0)
    val numbers = Source(0 until n).map(new Numbered(_, System.nanoTime()))
    def measure[T](source: Source[T, NotUsed], end: T): Source[T, NotUsed] =
      source.concat(Source.lazySingle { () => held.set(java.lang.Double.doubleToLongBits(used())); end })
    val ended = args.text("pattern") match {
      case "merge hub" => mergeHub(numbers, seen, n)
      case "broadcast hub" => broadcastHub(numbers, seen)
      case "partition hub" => partitionHub(numbers, seen)
      case pattern =>
        measure(numbers, last).filter(_ ne last).via(flow(pattern, n)).runWith(Sink.foreach(seen.take))
    }
    Await.result(ended, 120.seconds)
    java.lang.Double.longBitsToDouble(held.get)
  }

  private def flow(pattern: String, n: Int)(implicit executor: ExecutionContext): Flow[Numbered, Numbered, NotUsed] = {
    val same = Flow[Numbered]
    pattern match {
      case "fused" => same.map(identity)
      case "async" => same.map(identity).async
      case "dispatcher" => same.map(identity).async("pekko.actor.default-blocking-io-dispatcher")
      case "mapAsync" => same.mapAsync(Wide)(each => Future(uneven(each)))
      case "mapAsyncUnordered" => same.mapAsyncUnordered(Wide)(each => Future(uneven(each)))
      case "groupBy" => same.groupBy(Int.MaxValue, _.number / Burst).take(Burst).mergeSubstreams
      case "groupBy again" => same.groupBy(Int.MaxValue, _.number / Burst, allowClosedSubstreamRecreation = true).take(Burst).mergeSubstreams
      case "conflate" => same.conflate((_, newer) => newer).async
      case "batch" => same.batch(64, Vector(_))(_ :+ _).mapConcat(identity).async
      case "buffer" => same.buffer(64, OverflowStrategy.backpressure).async
      case "drop head" => same.async.buffer(64, OverflowStrategy.dropHead).async
      case "drop tail" => same.async.buffer(64, OverflowStrategy.dropTail).async
      case "drop new" => same.async.buffer(64, OverflowStrategy.dropNew).async
      case "drop buffer" => same.async.buffer(64, OverflowStrategy.dropBuffer).async
      case "restart" => restarting(n)
      case "throttle" => same.throttle(20000, 1.second)
    }
  }

  /** Some take longer than the next. */
  private def uneven(each: Numbered): Numbered = {
    if (each.number % 7 == 0) Work.spinUntil(System.nanoTime() + 20000)
    each
  }

  /** A flow that fails at each quarter of the numbers, and is started again after a pause. */
  private def restarting(n: Int): Flow[Numbered, Numbered, NotUsed] =
    RestartFlow.onFailuresWithBackoff(RestartSettings(Pause, Pause, 0)) { () =>
      Flow[Numbered].map { each => if (each.number % (n / 4) == n / 8) throw new IllegalStateException("by design") else each }
    }

  /** Two sources into one consumer. */
  private def mergeHub(numbers: Source[Numbered, NotUsed], seen: Seen, n: Int)(implicit system: ActorSystem): Future[Done] = {
    val (in, done) = MergeHub.source[Numbered](16).take(n).toMat(Sink.foreach(seen.take))(Keep.both).run()
    for (half <- 0 to 1) numbers.filter(_.number % 2 == half).runWith(in)
    done
  }

  /** One source to two consumers, of which one is `seen`. It comes first, for who comes later misses what has passed. */
  private def broadcastHub(numbers: Source[Numbered, NotUsed], seen: Seen)(implicit system: ActorSystem): Future[Done] = {
    val hub = numbers.runWith(BroadcastHub.sink(256))
    val done = hub.runWith(Sink.foreach(seen.take))
    while (!seen.begun && !done.isCompleted) Thread.sleep(1)
    hub.runWith(Sink.ignore)
    done
  }

  /** One source to two consumers, the even numbers to one and the odd ones to the other. */
  private def partitionHub(numbers: Source[Numbered, NotUsed], seen: Seen)(implicit system: ActorSystem): Future[Done] = {
    import system.dispatcher
    val hub = numbers.runWith(PartitionHub.sink[Numbered]((consumers, each) => each.number % consumers, 2, 256))
    val parts = Seq.fill(2)(hub.runWith(Sink.foreach(seen.take)))
    Future.sequence(parts).map(_ => Done)
  }
}
