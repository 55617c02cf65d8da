package benchpaper

import java.io.{BufferedOutputStream, DataOutputStream}
import java.nio.charset.StandardCharsets.US_ASCII

import scala.concurrent.Await
import scala.concurrent.duration.Duration

import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.scaladsl.{Sink, Source}

/** A billion single events: parse, key, window, aggregate.
  *
  * Event i is the text line i mod 4096 of a table ("key,value" in decimal digits), so that a run needs no disk and its
  * answer is known. Each closed window goes to standard output as one binary record: its number, the nanoseconds since the
  * start, the bytes allocated so far, then count and sum of each key. Windows end at multiples of their length, where the
  * state is empty; a run begins at any of them.
  */
object Billion {
  final val Lines = 4096
  final val Keys = 64

  /** The lines as bytes, each begins at a multiple of 16. The value of a line is its number times 7919. */
  private val table: Array[Byte] = {
    val bytes = new Array[Byte](Lines * 16)
    for (line <- 0 until Lines) {
      val text = s"${line * 31 % Keys},${line * 7919 % 100000}\n".getBytes(US_ASCII)
      System.arraycopy(text, 0, bytes, line * 16, text.length)
    }
    bytes
  }

  /** Reads "key,value" from the text: the key in the lowest six bits, the value in the rest. */
  private def parse(i: Int): Long = {
    var at = (i & (Lines - 1)) << 4
    var (key, value) = (0, 0L)
    while (table(at) != ',') { key = key * 10 + (table(at) - '0'); at += 1 }
    at += 1
    while (table(at) != '\n') { value = value * 10 + (table(at) - '0'); at += 1 }
    value << 6 | key
  }

  final class Totals(first: Int, length: Int, out: DataOutputStream) {
    private val begin = System.nanoTime()
    private val (counts, sums) = (new Array[Long](Keys), new Array[Long](Keys))
    private var (window, seen) = (first, 0)

    def add(event: Long): Unit = {
      val key = (event & (Keys - 1)).toInt
      counts(key) += 1
      sums(key) += event >>> 6
      seen += 1
      if (seen == length) close()
    }

    private def close(): Unit = {
      out.writeLong(window)
      out.writeLong(System.nanoTime() - begin)
      out.writeLong(Report.allocated())
      for (key <- 0 until Keys) { out.writeLong(counts(key)); out.writeLong(sums(key)); counts(key) = 0; sums(key) = 0 }
      out.flush()
      seen = 0
      window += 1
    }
  }

  def main(words: Array[String]): Unit = {
    val args = new Args(words)
    implicit val system: ActorSystem = ActorSystem("billion")
    val (first, events, window) = (args.int("first"), args.int("events"), args.int("window"))
    val totals = new Totals(first / window, window, new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16)))
    val done = Source(first until events)
      .map(parse)
      .runWith(Sink.fold(totals) { (totals, event) => totals.add(event); totals })
    Await.result(done, Duration.Inf)
    System.exit(0)
  }
}
