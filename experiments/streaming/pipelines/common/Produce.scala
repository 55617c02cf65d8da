package benchpaper

import java.util.concurrent.locks.LockSupport
import java.util.concurrent.atomic.AtomicReference

import scala.jdk.CollectionConverters._

import org.apache.kafka.clients.producer.{KafkaProducer, ProducerConfig, ProducerRecord}
import org.apache.kafka.common.serialization.ByteArraySerializer

/** Sends the events of `experiments/streaming/workload.py`, at a rate or as fast as the broker takes them.
  *
  * Event i has the key 31 i mod `keys` and goes to the partition of its key. It happened at `base` + i / `rate`, less how much
  * it is out of order. With `pace=true` it is sent when event i is due, whatever its own time says. */
object Produce extends App {
  private val words = new Args(args)
  private val (topic, partitions, keys) = (words.text("topic"), words.int("partitions"), words.int("keys"))
  private val (first, count) = (words.long("first"), words.long("events"))
  private val (rate, paced, json) = (words.double("rate"), words.text("pace") == "true", words.text("format") == "json")
  private val disorder = new Disorder(words)
  private val failure = new AtomicReference[Exception]
  private val producer = new KafkaProducer[Array[Byte], Array[Byte]](Map[String, Object](
    ProducerConfig.BOOTSTRAP_SERVERS_CONFIG -> words.text("servers"), ProducerConfig.ACKS_CONFIG -> "all",
    ProducerConfig.LINGER_MS_CONFIG -> "5", ProducerConfig.BATCH_SIZE_CONFIG -> "131072",
    ProducerConfig.BUFFER_MEMORY_CONFIG -> "33554432").asJava, new ByteArraySerializer, new ByteArraySerializer)

  private val base = if (words.long("base") >= 0) words.long("base") else System.currentTimeMillis
  Report.line("base" -> base)
  private val begin = System.nanoTime()
  private var i = first
  while (i < first + count && failure.get == null) {
    if (paced) {
      val due = begin + ((i - first) * 1e9 / rate).toLong
      while (due > System.nanoTime()) LockSupport.parkNanos(math.min(due - System.nanoTime(), 1000000))
    }
    send(i)
    i += 1
  }
  producer.flush()
  producer.close()
  if (failure.get != null) throw failure.get
  Report.line("sent" -> count, "seconds" -> (System.nanoTime() - begin) / 1e9)
  Runtime.getRuntime.halt(0)

  private def send(i: Long): Unit = {
    val key = (31 * i % keys).toInt
    val message = Message(key, base + (i * 1000.0 / rate).toLong - disorder.ms(i), i)
    val bytes = if (disorder.poison(i)) "not a message".getBytes else Message.toBytes(message, json)
    for (_ <- 0 to (if (disorder.twice(i)) 1 else 0))
      producer.send(new ProducerRecord[Array[Byte], Array[Byte]](topic, Int.box(key % partitions), null, bytes),
        (_, sent) => if (sent != null) failure.compareAndSet(null, sent))
  }
}

/** What is wrong with some events; the numbers say how many events lie between two, and 0 that there are none. */
final class Disorder(words: Args) {
  private val (lateEvery, lateMs, disorder) = (words.long("late_every"), words.long("late_ms"), words.long("disorder_ms"))
  private val (poisonEvery, twiceEvery) = (words.long("poison_every"), words.long("twice_every"))
  private val (aheadEvery, aheadMs) = (words.long("ahead_every"), words.long("ahead_ms"))

  /** How much earlier an event happened than its place says: up to `disorder_ms`, and `late_ms` for some. Some clocks are ahead. */
  def ms(i: Long): Long =
    (if (each(i, lateEvery, 7)) lateMs else i * 7919 % (disorder + 1)) - (if (each(i, aheadEvery, 17)) aheadMs else 0)

  def poison(i: Long): Boolean = each(i, poisonEvery, 11)
  def twice(i: Long): Boolean = each(i, twiceEvery, 13)

  private def each(i: Long, every: Long, at: Long): Boolean = every > 0 && i % every == at % every
}
