package benchpaper

import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicLong
import java.util.concurrent.locks.LockSupport

import scala.concurrent.{Await, Future, Promise}
import scala.concurrent.duration._
import scala.util.Try

import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.{OverflowStrategy, QueueOfferResult}
import org.apache.pekko.stream.scaladsl.{Keep, Sink, Source}

/** A fast source against a slow sink: how many elements are on their way, and what becomes of those that find no room.
  *
  * First the sink stands still with one element in its hand and the source offers until nothing moves: what is on its way
  * then is counted, not sampled. Then the source offers faster than the sink takes, and latency and loss are measured.
  */
object Backpressure {
  final case class Element(number: Long, born: Long)

  private val Entry = 16 // elements between the source's thread and the stream
  private val Haste = 3 // the source offers so many times as fast as the sink takes
  private val Quiet = 60 // milliseconds without a new element: nothing moves any more

  def main(words: Array[String]): Unit = {
    val args = new Args(words)
    implicit val system: ActorSystem = ActorSystem("backpressure")
    val (strategy, buffer) = (args.text("strategy"), args.int("buffer"))
    val boundaries = args.int("boundaries")
    if (strategy == "unbounded") flood(boundaries)
    val standing = stand(strategy, buffer, boundaries, args.int("input_buffer"), args.long("offered"))
    val moving = move(strategy, buffer, boundaries, args.long("service_ns"), args.double("seconds"), args.text("samples"))
    Report.line(standing ++ moving :+ ("heap_mib" -> Report.heapPeak()): _*)
    System.exit(0)
  }

  /** The strategy's buffer sits before the first boundary, as a source would have it. */
  private def through[M](source: Source[Element, M], strategy: String, buffer: Int, boundaries: Int): Source[Element, M] = {
    val overflow = strategy match {
      case "none"      => null
      case "backpressure" => OverflowStrategy.backpressure
      case "drop_head" => OverflowStrategy.dropHead
      case "drop_tail" => OverflowStrategy.dropTail
      case "drop_new"  => OverflowStrategy.dropNew
      case "fail"      => OverflowStrategy.fail
    }
    val buffered = if (overflow == null) source else source.buffer(buffer, overflow)
    (0 until boundaries).foldLeft(buffered)((flow, _) => flow.async.map(identity))
  }

  /** Counts what is on its way while the sink holds one element. The source waits for that before it overtakes, so that
    * nothing is lost before; the input buffers ask for more when half empty, so the sink holds the element at half. */
  private def stand(strategy: String, buffer: Int, boundaries: Int, input: Int, offered: Long)(
      implicit system: ActorSystem): Seq[(String, Any)] = {
    val held = if (boundaries == 0) 1 else math.max(1, input / 2)
    val (holding, release) = (Promise[Unit](), new CountDownLatch(1))
    val (produced, received) = (new AtomicLong, new AtomicLong)
    @volatile var open = false
    // Two more than are held: a buffer pulls before it has passed on. Each number comes by a message of its own: a source
    // that never rests would keep its island, the buffer with it, from hearing that there is demand.
    val source = Source.unfoldAsync(0L) { n =>
      val go = if (n >= held + 2 && boundaries > 0) holding.future else Future.unit
      if (n >= offered || open) Future.successful(None) else go.map(_ => Some((n + 1, n)))(system.dispatcher)
    }.map { n =>
      produced.incrementAndGet()
      Element(n, 0)
    }
    var (last, gaps, sum) = (-1L, 0L, 0L)
    val done = through(source, strategy, buffer, boundaries).runWith(Sink.foreach { element =>
      if (received.get == held - 1) { holding.success(()); release.await() }
      if (element.number != last + 1) gaps += 1
      last = element.number
      sum += element.number
      received.incrementAndGet()
    })
    Await.result(holding.future, 10.seconds)
    val standing = still(produced)
    open = true
    release.countDown()
    val failed = Try(Await.result(done, 60.seconds)).isFailure
    val onTheWay = strategy match {
      case "none" | "backpressure" => standing - (held - 1)
      case "fail"                  => standing - 1 - (held - 1) // the last one found no room
      case _                       => received.get - (held - 1) // the others were dropped
    }
    Seq("in_flight" -> onTheWay, "offered" -> standing, "received" -> received.get, "gaps" -> gaps, "last" -> last,
      "sum" -> sum, "failed" -> (if (failed) 1 else 0))
  }

  /** Waits until nothing has come for a while in which the dispatcher got its turns: on a busy machine quiet alone may mean
    * that nobody was allowed to run. */
  private def still(counter: AtomicLong)(implicit system: ActorSystem): Long = {
    var (before, quiet) = (-1L, 0)
    while (quiet < Quiet) {
      val now = counter.get
      quiet = if (now == before) quiet + 5 else 0
      before = now
      Thread.sleep(5)
      Await.result(Future(())(system.dispatcher), 10.seconds)
    }
    before
  }

  /** The source offers at `Haste` times the pace of the sink, which takes a processor for `service` nanoseconds an element. */
  private def move(strategy: String, buffer: Int, boundaries: Int, service: Long, seconds: Double, samples: String)(
      implicit system: ActorSystem): Seq[(String, Any)] = {
    val latencies = new Array[Long]((seconds * 1e9 / service).toInt + buffer + 10000)
    val produced = new AtomicLong
    var (received, disorder, most, last) = (0, 0L, 0L, -1L)
    val sink = Sink.foreach[Element] { element =>
      if (element.number <= last) disorder += 1
      last = element.number
      most = math.max(most, produced.get - received)
      Work.spinUntil(System.nanoTime() + service)
      if (received < latencies.length) latencies(received) = System.nanoTime() - element.born
      received += 1
    }
    val (queue, done) = through(Source.queue[Element](Entry), strategy, buffer, boundaries).toMat(sink)(Keep.both).run()
    val begin = System.nanoTime()
    val end = begin + (seconds * 1e9).toLong
    var n = 0L
    while (System.nanoTime() < end && !done.isCompleted) {
      Work.spinUntil(begin + n * service / Haste)
      if (queue.offer(Element(n, System.nanoTime())) == QueueOfferResult.Enqueued) {
        produced.incrementAndGet()
        n += 1
      } else LockSupport.parkNanos(2000) // no room: the source has to wait
    }
    Try(queue.complete())
    val failed = Try(Await.result(done, 60.seconds)).isFailure
    Report.samples(samples, latencies, math.min(received, latencies.length))
    Seq("moved" -> received, "emitted" -> produced.get, "disorder" -> disorder, "most" -> most,
      "move_failed" -> (if (failed) 1 else 0), "move_s" -> (System.nanoTime() - begin) / 1e9)
  }

  /** A buffer without a bound under a sink that stands still: tells how many elements wait, until the heap is full. */
  private def flood(boundaries: Int)(implicit system: ActorSystem): Unit = {
    val source = Source.fromIterator(() => Iterator.iterate(0L)(_ + 1)).map { n =>
      if (n % 10000 == 0) Report.line("waiting" -> n)
      Element(n, 0)
    }
    val buffered = source.buffer(Int.MaxValue, OverflowStrategy.backpressure)
    val slow = (0 until boundaries).foldLeft(buffered)((flow, _) => flow.async.map(identity))
    Await.result(slow.runWith(Sink.foreach(_ => Thread.sleep(1000))), Duration.Inf)
  }
}
