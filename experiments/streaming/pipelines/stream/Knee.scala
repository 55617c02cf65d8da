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
  private val Bursts = 9.0 // the squared coefficient of variation of bursty arrivals
  private val GiveUp = 0.25 // seconds behind at which a try is over

  final class Run(val intended: Array[Long], val offered: Array[Long], val finished: Array[Long], val seconds: Double,
      val generatorCpu: Double, val cpu: Double, val gaveUp: Boolean) {
    def rate: Double = size / seconds
    def late(i: Int): Long = offered(i) - intended(i)
    def latency(i: Int): Long = finished(i) - intended(i)
    def sent(i: Int): Long = finished(i) - offered(i)
    def size: Int = intended.length

    /** The times between ends of service in nanoseconds: services, if the server never waited. */
    def services: Array[Double] = Array.tabulate(size - 1)(i => (finished(i + 1) - finished(i)).toDouble)

    /** The fewest events that had arrived and not ended, over the last tenth: a queue that grows has many all that time. */
    def backlog: Int = {
      var (arrived, least) = (0, Int.MaxValue)
      for (i <- 0 until size) {
        while (arrived < size && intended(arrived) <= finished(i)) arrived += 1
        // After the last arrival any queue drains.
        if (i >= size * 9 / 10 && finished(i) <= intended(size - 1)) least = math.min(least, arrived - i - 1)
      }
      if (least == Int.MaxValue) size else least
    }
    def quantile(q: Double, value: Int => Long): Long = {
      val sorted = Array.tabulate(size)(value).sorted
      sorted(((size - 1) * q).toInt)
    }
  }

  def main(words: Array[String]): Unit = {
    val args = new Args(words)
    implicit val system: ActorSystem = ActorSystem("knee")
    val (service, seconds) = (args.long("service_ns"), args.double("seconds"))
    val random = new java.util.Random(args.long("seed"))
    if (args.text("procedure") == "ceiling") { ceiling((1e6 * seconds).toInt); System.exit(0) }
    closed((0.3e9 / service).toInt, service) // warm-up
    // The best of three: what else the machine does only lowers it, and a load of 1.1 has to be past it.
    val runs = Seq.fill(3)(closed((math.min(seconds, 1) * 0.25e9 / service).toInt, service))
    val alone = runs.maxBy(_.rate)
    args.text("procedure") match {
      case "closed" => report(closed((seconds * 1e9 / service).toInt, service), alone, args, 0)
      case "open" =>
        val rate = alone.rate * args.double("load")
        report(open(arrivals(args, rate, seconds, random), service, Double.MaxValue), alone, args, rate)
      case "search" => search(alone, args, random)
    }
    System.exit(0)
  }

  /** The intended times in nanoseconds. Bursty arrivals come at one of two rates, chosen anew for each (hyperexponential). */
  private def arrivals(args: Args, rate: Double, seconds: Double, random: java.util.Random): Array[Long] = {
    val arrival = args.text("arrival")
    val often = 0.5 * (1 + math.sqrt((Bursts - 1) / (Bursts + 1)))
    var at = 0.0
    Array.fill((rate * seconds).toInt) {
      at += 1e9 / rate * (arrival match {
        case "constant" => 1.0
        case "poisson" => exponential(random)
        case "bursty" => if (random.nextDouble() < often) exponential(random) / (2 * often) else exponential(random) / (2 - 2 * often)
      })
      at.toLong
    }
  }

  private def exponential(random: java.util.Random): Double = -math.log(1 - random.nextDouble())

  /** The service: takes events by number and notes when each was finished. */
  private def serve(finished: Array[Long], count: AtomicLong, service: Long)(implicit system: ActorSystem) =
    Source.queue[Integer](Queue).toMat(Sink.foreach[Integer] { i =>
      Work.spinUntil(System.nanoTime() + service)
      finished(i) = System.nanoTime()
      count.lazySet(i + 1L)
    })(Keep.both).run()

  private def open(after: Array[Long], service: Long, giveUp: Double)(implicit system: ActorSystem): Run = {
    val begin = System.nanoTime() + 1000000
    drive(after.map(begin + _), service, (_, _) => (), (giveUp * 1e9).toLong)
  }

  private def closed(n: Int, service: Long)(implicit system: ActorSystem): Run =
    drive(Array.fill(n)(System.nanoTime()), service, (i, count) => while (i - count.get >= Window) Thread.onSpinWait(), Long.MaxValue)

  /** Offers all events; ends early, with `gaveUp`, if one is offered `patience` nanoseconds late. */
  private def drive(intended: Array[Long], service: Long, before: (Int, AtomicLong) => Unit, patience: Long)(
      implicit system: ActorSystem): Run = {
    val n = intended.length
    val (offered, finished, count) = (new Array[Long](n), new Array[Long](n), new AtomicLong)
    val (queue, done) = serve(finished, count, service)
    val (cpu, mine, begin) = (Report.cpu(), Report.threadCpu(), System.nanoTime())
    var (i, gaveUp) = (0, false)
    while (i < n && !gaveUp) {
      before(i, count)
      waitFor(intended(i))
      offered(i) = System.nanoTime()
      while (queue.offer(i) != QueueOfferResult.Enqueued) { // full: the event waits outside
        LockSupport.parkNanos(1000)
        offered(i) = System.nanoTime()
      }
      gaveUp = offered(i) - intended(i) > patience
      i += 1
    }
    val generator = Report.threadCpu() - mine
    queue.complete()
    Await.result(done: Future[Done], 60.seconds)
    new Run(intended.take(i), offered.take(i), finished.take(i), (finished(i - 1) - begin) / 1e9, generator,
      Report.cpu() - cpu, gaveUp)
  }

  private def waitFor(time: Long): Unit = {
    while (time - System.nanoTime() > 200000) LockSupport.parkNanos(50000)
    Work.spinUntil(time)
  }

  /** Tries rates around the capacity by construction, whose reciprocal is the service: downwards until one is sustainable, then
    * between it and the next above. A rate is sustainable if its queue is bounded: for a time in the last tenth of the try at
    * most `Queue` events wait. A try is `seconds` long, and at least 200 times the tail of a service, so that the queue of a rate
    * just past the capacity cannot stay below that. */
  private def search(alone: Run, args: Args, random: java.util.Random)(implicit system: ActorSystem): Unit = {
    val service = args.long("service_ns")
    val tail = quantile(alone.services, 0.999) / 1e9
    val each = math.max(args.double("try_seconds"), 200 * tail)
    val limit = 1e9 / service
    var (low, high, events) = (0.0, 1.02 * limit, 0L)
    for (number <- 0 until args.int("tries")) {
      val rate = if (low > 0) (low + high) / 2 else math.max(high - 0.06 * limit * (1 << number), high / 2)
      val run = open(arrivals(args, rate, each, random), service, GiveUp)
      events += run.size
      if (!run.gaveUp && run.backlog <= Queue) low = rate else high = rate
    }
    Report.line("events" -> events, "missing" -> 0, "capacity" -> alone.rate, "sustainable" -> low, "refused" -> high,
      "try_s" -> each, "tail_s" -> tail, "queue" -> Queue)
  }

  private def quantile(values: Array[Double], q: Double): Double = values.sorted.apply(((values.length - 1) * q).toInt)

  /** The mean latency in nanoseconds that Kingman's formula gives for one server (G/G/1) at a rate below the capacity. */
  private def predicted(run: Run, alone: Run, rate: Double): Double = {
    val services = alone.services
    val mean = services.sum / services.length
    val load = rate * mean / 1e9
    val gaps = Array.tabulate(run.size - 1)(i => (run.intended(i + 1) - run.intended(i)).toDouble)
    if (rate == 0 || load >= 1) Double.PositiveInfinity
    else mean * (1 + load / (1 - load) * (variation(gaps) + variation(services)) / 2)
  }

  /** The squared coefficient of variation. */
  private def variation(values: Array[Double]): Double = {
    val mean = values.sum / values.length
    values.map(value => (value - mean) * (value - mean)).sum / values.length / (mean * mean)
  }

  private def missing(run: Run): Int = run.finished.count(_ == 0)

  private def report(run: Run, alone: Run, args: Args, rate: Double): Unit = {
    val half = run.size / 10 // the first tenth fills the queue
    def save(key: String, value: Int => Long): Unit =
      Report.samples(args.text(key), Array.tabulate(run.size - half)(i => value(i + half)), run.size - half)
    save("latency", i => if (rate > 0) run.latency(i) else run.sent(i))
    save("sent", run.sent)
    Report.line("events" -> run.size, "missing" -> missing(run), "capacity" -> alone.rate, "offered_rate" -> rate,
      "seconds" -> run.seconds, "generator_cpu_s" -> run.generatorCpu, "cpu_s" -> run.cpu,
      "late_ns" -> (if (rate > 0) run.quantile(0.5, run.late) else 0),
      "mean_ns" -> Array.tabulate(run.size)(run.latency(_).toDouble).sum / run.size,
      "predicted_ns" -> Some(predicted(run, alone, rate)).filterNot(_.isInfinite).getOrElse(0))
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
