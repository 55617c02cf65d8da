package benchpaper

import java.util.concurrent.atomic.AtomicLong
import java.util.concurrent.locks.LockSupport

import scala.concurrent.{Await, Future}
import scala.concurrent.duration._

import org.apache.pekko.Done
import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.QueueOfferResult
import org.apache.pekko.stream.scaladsl.{Keep, Sink, Source}

/** A service of one stage under arrivals that do not wait for it (open loop), or that do (closed loop).
  *
  * A thread of its own offers each event at its intended time, or as soon after it as there is room in the queue. Latency
  * runs to the end of the service, from the intended time and, beside it, from when the event was really offered.
  */
object Knee {
  private val Queue = 256
  private val Window = 64

  final class Run(val intended: Array[Long], val offered: Array[Long], val finished: Array[Long], val seconds: Double,
      val generatorCpu: Double, val cpu: Double) {
    def late(i: Int): Long = offered(i) - intended(i)
    def latency(i: Int): Long = finished(i) - intended(i)
    def sent(i: Int): Long = finished(i) - offered(i)
    def size: Int = intended.length
    def quantile(q: Double, value: Int => Long): Long = {
      val sorted = Array.tabulate(size)(value).sorted
      sorted(((size - 1) * q).toInt)
    }
  }

  def main(words: Array[String]): Unit = {
    val args = new Args(words)
    implicit val system: ActorSystem = ActorSystem("knee")
    val (service, events) = (args.long("service_ns"), args.int("events"))
    val random = new java.util.Random(args.long("seed"))
    val poisson = args.text("arrival") == "poisson"
    if (args.text("procedure") == "ceiling") { ceiling(50 * events); System.exit(0) }
    closed((0.3e9 / service).toInt, service) // warm-up
    // The best of three: what else the machine does only lowers it, and a load of 1.1 has to be past it.
    val capacity = Seq.fill(3) { val run = closed((0.15e9 / service).toInt, service); run.size / run.seconds }.max
    args.text("procedure") match {
      case "closed" => report(closed(events, service), capacity, args, 0)
      case "open" =>
        val rate = capacity * args.double("load")
        report(open(schedule(rate, events, poisson, random), service), capacity, args, rate)
      case "search" => search(capacity, events, poisson, random, service, args.long("limit_ns"))
    }
    System.exit(0)
  }

  private def schedule(rate: Double, events: Int, poisson: Boolean, random: java.util.Random): Array[Long] = {
    var at = 0.0
    Array.fill(events) {
      at += (if (poisson) -math.log(1 - random.nextDouble()) else 1.0) * 1e9 / rate
      at.toLong
    }
  }

  /** The service: takes events by number and notes when each was finished. */
  private def serve(finished: Array[Long], count: AtomicLong, service: Long)(implicit system: ActorSystem) =
    Source.queue[Integer](Queue).toMat(Sink.foreach[Integer] { i =>
      Work.spinUntil(System.nanoTime() + service)
      finished(i) = System.nanoTime()
      count.lazySet(i + 1L)
    })(Keep.both).run()

  private def open(after: Array[Long], service: Long)(implicit system: ActorSystem): Run = {
    val begin = System.nanoTime() + 1000000
    drive(after.map(begin + _), service, (_, _) => ())
  }

  private def closed(n: Int, service: Long)(implicit system: ActorSystem): Run =
    drive(Array.fill(n)(System.nanoTime()), service, (i, count) => while (i - count.get >= Window) Thread.onSpinWait())

  private def drive(intended: Array[Long], service: Long, before: (Int, AtomicLong) => Unit)(
      implicit system: ActorSystem): Run = {
    val n = intended.length
    val (offered, finished, count) = (new Array[Long](n), new Array[Long](n), new AtomicLong)
    val (queue, done) = serve(finished, count, service)
    val (cpu, mine, begin) = (Report.cpu(), Report.threadCpu(), System.nanoTime())
    var i = 0
    while (i < n) {
      before(i, count)
      waitFor(intended(i))
      offered(i) = System.nanoTime()
      while (queue.offer(i) != QueueOfferResult.Enqueued) { // full: the event waits outside
        LockSupport.parkNanos(1000)
        offered(i) = System.nanoTime()
      }
      i += 1
    }
    val generator = Report.threadCpu() - mine
    queue.complete()
    Await.result(done: Future[Done], 60.seconds)
    new Run(intended, offered, finished, (finished(n - 1) - begin) / 1e9, generator, Report.cpu() - cpu)
  }

  private def waitFor(time: Long): Unit = {
    while (time - System.nanoTime() > 200000) LockSupport.parkNanos(50000)
    Work.spinUntil(time)
  }

  /** Halves the range of rates in which the 99th percentile from the intended time passes `limit`. A rate is given up
    * after two tries: halving never comes back to one that a disturbance has ruled out. */
  private def search(capacity: Double, each: Int, poisson: Boolean, random: java.util.Random, service: Long,
      limit: Long)(implicit system: ActorSystem): Unit = {
    var (low, high, events) = (0.0, 1.3 * capacity, 0L)
    for (_ <- 1 to 7) {
      val rate = if (low == 0) 0.5 * (0.3 * capacity + high) else (low + high) / 2
      def sustained(): Boolean = {
        val run = open(schedule(rate, each, poisson, random), service)
        events += run.size
        run.quantile(0.99, run.latency) < limit && missing(run) == 0
      }
      if (sustained() || sustained()) low = rate else high = rate
    }
    Report.line("events" -> events, "missing" -> 0, "capacity" -> capacity, "sustainable" -> low)
  }

  private def missing(run: Run): Int = run.finished.count(_ == 0)

  private def report(run: Run, capacity: Double, args: Args, rate: Double): Unit = {
    val half = run.size / 10 // the first tenth fills the queue
    def save(key: String, value: Int => Long): Unit =
      Report.samples(args.text(key), Array.tabulate(run.size - half)(i => value(i + half)), run.size - half)
    save("latency", i => if (rate > 0) run.latency(i) else run.sent(i))
    save("sent", run.sent)
    Report.line("events" -> run.size, "missing" -> missing(run), "capacity" -> capacity, "offered_rate" -> rate,
      "seconds" -> run.seconds, "generator_cpu_s" -> run.generatorCpu, "cpu_s" -> run.cpu,
      "late_ns" -> (if (rate > 0) run.quantile(0.5, run.late) else 0))
  }

  /** The generator against nothing: how many events a second it can offer at the most. */
  private def ceiling(n: Int): Unit = {
    val offered = new Array[Long](n)
    var seconds = 0.0
    for (_ <- 1 to 3) {
      val begin = System.nanoTime()
      var i = 0
      while (i < n) { waitFor(begin); offered(i) = System.nanoTime(); i += 1 }
      seconds = (System.nanoTime() - begin) / 1e9
    }
    Report.line("events" -> n, "missing" -> offered.count(_ == 0), "seconds" -> seconds)
  }
}
