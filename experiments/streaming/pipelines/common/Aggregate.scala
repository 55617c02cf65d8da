package benchpaper

import java.nio.{ByteOrder, LongBuffer}
import java.nio.channels.FileChannel
import java.nio.file.{Paths, StandardOpenOption}

/** One event: 64 bits in a file, the key in the lowest eight and the value in the rest. Event i happens at time i. */
object Event {
  def key(event: Long): Int = (event & 0xff).toInt
  def value(event: Long): Long = event >>> 8
}

/** The aggregation that every engine does: events per (window, key) are counted and their values summed. */
final class Input(path: String, val window: Int) extends Serializable {
  @transient private lazy val events: LongBuffer = {
    val file = FileChannel.open(Paths.get(path), StandardOpenOption.READ)
    file.map(FileChannel.MapMode.READ_ONLY, 0, file.size).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer
  }

  def size: Int = events.limit()
  def windows: Int = (size + window - 1) / window

  /** Reads an event, and notes when the last of a window is read. */
  def read(i: Int): Long = {
    if (i == 0) Clock.begin = System.nanoTime()
    if ((i + 1) % window == 0 || i + 1 == size) Clock.read(i / window) = System.nanoTime()
    events.get(i)
  }
}

/** When the first event was read, and the last of each window. */
object Clock {
  @volatile var begin = 0L
  @volatile var read = new Array[Long](0)
}

/** Count and sum of one key in one window. */
final case class Aggregated(window: Int, key: Int, count: Long, sum: Long) {
  def mixed: Long = Work(((window.toLong * 256 + key) * 1000003L + count) * 1000003L + sum, 3)
}

/** The state of one window. */
final class Window {
  private val (counts, sums) = (new Array[Long](256), new Array[Long](256))

  def add(event: Long): Unit = {
    counts(Event.key(event)) += 1
    sums(Event.key(event)) += Event.value(event)
  }

  /** What the window held, which is then empty. */
  def close(window: Int): Vector[Aggregated] = {
    val found = Vector.newBuilder[Aggregated]
    for (key <- 0 until 256 if counts(key) > 0) {
      found += Aggregated(window, key, counts(key), sums(key))
      counts(key) = 0
      sums(key) = 0
    }
    found.result()
  }
}

/** Takes results in any order: how many, a checksum over all, and how long after its last event each came. */
final class Collector(input: Input) {
  private val latencies = new Array[Long](input.windows * 256)
  var (rows, checksum, last) = (0, 0L, 0L)

  def take(result: Aggregated): Unit = synchronized {
    last = System.nanoTime()
    latencies(rows) = last - Clock.read(result.window)
    rows += 1
    checksum += result.mixed
  }

  def save(path: String): Unit = Report.samples(path, latencies, rows)
}

/** Runs an engine over the input again and again: for `warmup` seconds of CPU time, at least once, untimed, then for `seconds`, at
  * least once. An engine is busy from its first read to its last result; what a pass takes besides is its start-up. */
object Passes {
  def apply(words: Array[String])(pass: (Input, Collector) => Unit): Unit = {
    val args = new Args(words)
    val input = new Input(args.text("input"), args.int("window"))
    def once(): Collector = {
      Clock.read = new Array[Long](input.windows)
      val collector = new Collector(input)
      pass(input, collector)
      collector
    }
    val warm = Report.cpu() + args.double("warmup")
    do once() while (Report.cpu() < warm)
    var (passes, checksum, rows, busy) = (0, 0L, 0L, 0L)
    val (cpu, begin) = (Report.cpu(), System.nanoTime())
    val end = begin + (args.double("seconds") * 1e9).toLong
    do {
      val collector = once()
      passes += 1
      checksum += collector.checksum
      rows += collector.rows
      busy += collector.last - Clock.begin
      if (System.nanoTime() >= end) collector.save(args.text("samples"))
    } while (System.nanoTime() < end)
    Report.line("passes" -> passes, "events" -> input.size.toLong * passes, "rows" -> rows, "checksum" -> checksum,
      "seconds" -> busy / 1e9, "start_s" -> ((System.nanoTime() - begin) - busy) / 1e9 / passes, "cpu_s" -> (Report.cpu() - cpu),
      "peak_mib" -> Report.residentPeak())
    System.exit(0)
  }
}
