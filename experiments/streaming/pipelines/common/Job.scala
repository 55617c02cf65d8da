package benchpaper

import java.util.Properties
import java.util.concurrent.atomic.LongAdder

import org.apache.kafka.clients.consumer.ConsumerConfig
import org.apache.kafka.common.serialization.ByteArrayDeserializer

/** What this process has read, and when it began to. */
object Counters {
  val events, poison, skipped = new LongAdder
  @volatile var first = 0L
}

/** A pipeline from a topic to Parquet: its arguments, what every engine needs of them, and its report.
  *
  * `delivery` says when offsets are committed, and what an object is called:
  *  - most: at once, by the client's timer; what was read and not written is lost in a crash;
  *  - least: after the write, under a name of its own; what was written and not committed comes twice;
  *  - exactly: after the write, under the name of the window; what was written is skipped when it is read again.
  * A partition ends at its offset in `stop`. */
final class Job(words: Array[String]) extends Serializable {
  @transient private val args = new Args(words)
  val servers: String = args.text("servers")
  val topic: String = args.text("topic")
  val group: String = args.text("group")
  val stop: Array[Long] = args.text("stop").split(",").map(_.toLong)
  val json: Boolean = args.text("format") == "json"
  val window: Long = args.long("window_ms")
  val delay: Long = args.long("delay_ms")
  val delivery: String = args.text("delivery")
  val lake = new Lake(args.text("url"), args.text("bucket"), args.text("access"), args.text("secret"), args.text("prefix"))
  val checkpoints: String = args.text("checkpoints")

  def partitions: Int = stop.length
  def timer: Boolean = delivery == "most"

  def consumer: Map[String, String] = Map(
    ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG -> servers,
    ConsumerConfig.GROUP_ID_CONFIG -> group,
    ConsumerConfig.AUTO_OFFSET_RESET_CONFIG -> "earliest",
    ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG -> timer.toString,
    ConsumerConfig.AUTO_COMMIT_INTERVAL_MS_CONFIG -> "200",
    ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG -> "30000",
    ConsumerConfig.MAX_POLL_RECORDS_CONFIG -> "2000")

  def properties: Properties = {
    val all = new Properties
    consumer.foreach { case (key, value) => all.put(key, value) }
    for (key <- Seq(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG))
      all.put(key, classOf[ByteArrayDeserializer].getName)
    all
  }

  /** A message, or null if it is poison; counts both. */
  def parse(bytes: Array[Byte]): Message = {
    if (Counters.first == 0) Counters.first = System.nanoTime()
    try {
      val message = Message.parse(bytes, json)
      Counters.events.increment()
      message
    } catch { case _: Poison => Counters.poison.increment(); null }
  }

  def watermark[T](partition: Int): Watermark[T] =
    new Watermark[T](window, delay, if (delivery == "exactly") lake.progress(partition, window) else Lake.Start)

  /** Writes what a partition has closed; nothing, if there is nothing. */
  def write(partition: Int, close: Close[_], rows: Iterable[Row]): Unit = {
    val all = rows ++ close.late
    val window = math.max(close.window, 0)
    if (all.nonEmpty)
      lake.put(if (delivery == "exactly") Lake.name(partition, window) else Lake.unique(partition, window), all, close.seen)
  }

  /** Says what it did, and ends the process. */
  def end(): Unit = {
    import Counters._
    Report.line("done" -> true, "events" -> events.sum, "poison" -> poison.sum, "skipped" -> skipped.sum,
      "seconds" -> (if (first == 0) 0.0 else (System.nanoTime() - first) / 1e9), "cpu_s" -> Report.cpu(),
      "peak_mib" -> Report.residentPeak())
    Runtime.getRuntime.halt(0)
  }
}

/** Count, sum, and highest time of one key in each of its open windows. */
final class Totals(key: Int) {
  private val open = scala.collection.mutable.LongMap.empty[Array[Long]]

  def add(event: Add): Unit = {
    val total = open.getOrElseUpdate(event.window, Array(0, 0, Long.MinValue))
    total(0) += 1
    total(1) += event.value
    total(2) = math.max(total(2), event.time)
  }

  /** The row of a window, and none if the key had no event in it. */
  def close(window: Long): Option[Row] =
    open.remove(window).map(total => Row(window, key, total(0), total(1), total(2), late = false))
}

/** Collects the rows of windows, which come in any order, and hands them on window by window. */
final class Gather[T] {
  private val waiting = scala.collection.mutable.LongMap.empty[(Close[T], Vector[Option[Row]])]
  private var next = 0L

  def apply(part: (Close[T], Option[Row])): List[(Close[T], Vector[Row])] = {
    val (close, row) = part
    val (_, rows) = waiting.getOrElse(close.number, (close, Vector.empty))
    waiting(close.number) = (close, rows :+ row)
    var ready = List.empty[(Close[T], Vector[Row])]
    while (waiting.get(next).exists { case (closed, found) => found.size == math.max(1, closed.keys.size) }) {
      val (closed, found) = waiting.remove(next).get
      ready = ready :+ (closed, found.flatten)
      next += 1
    }
    ready
  }
}
