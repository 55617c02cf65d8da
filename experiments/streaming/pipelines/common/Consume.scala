package benchpaper

import java.time.Duration
import java.util.Properties

import scala.jdk.CollectionConverters._

import org.apache.kafka.clients.consumer.KafkaConsumer
import org.apache.kafka.common.TopicPartition
import org.apache.kafka.common.serialization.ByteArrayDeserializer

/** Reads and parses a topic, and does nothing with it: the ceiling of every pipeline. */
object Consume extends App {
  private val words = new Args(args)
  private val stop = words.text("stop").split(",").map(_.toLong)
  private val json = words.text("format") == "json"
  private val settings = new Properties
  settings.put("bootstrap.servers", words.text("servers"))
  settings.put("max.poll.records", "2000")
  private val consumer = new KafkaConsumer(settings, new ByteArrayDeserializer, new ByteArrayDeserializer)
  private val places = stop.indices.map(new TopicPartition(words.text("topic"), _))
  consumer.assign(places.asJava)
  consumer.seekToBeginning(places.asJava)
  private var (events, begin) = (0L, 0L)
  while (places.exists(place => consumer.position(place) < stop(place.partition)))
    consumer.poll(Duration.ofMillis(100)).forEach { record =>
      if (begin == 0) begin = System.nanoTime()
      if (Message.parse(record.value, json) != null) events += 1
    }
  Report.line("events" -> events, "seconds" -> (System.nanoTime() - begin) / 1e9, "cpu_s" -> Report.cpu(),
    "peak_mib" -> Report.residentPeak())
  Runtime.getRuntime.halt(0)
}
