package benchpaper

import org.apache.kafka.clients.consumer.KafkaConsumer
import org.apache.kafka.common.serialization.ByteArrayDeserializer

/** Loads what the pipelines load when they start, and runs `Boundaries`: the build archives the loaded classes. */
object Training {
  def main(words: Array[String]): Unit = {
    val message = Message(1, 2, 3)
    for (json <- Seq(true, false)) Message.parse(Message.toBytes(message, json), json)
    Parquet(Seq(Row(0, 1, 2, 3, 4, late = false)))
    new Lake("http://127.0.0.1:1", "none", "none", "none", "none").warm()
    val settings = new java.util.Properties
    settings.put("bootstrap.servers", "127.0.0.1:1")
    new KafkaConsumer(settings, new ByteArrayDeserializer, new ByteArrayDeserializer).close()
    Boundaries.main(words)
  }
}
