package benchpaper

import java.nio.ByteBuffer

import com.fasterxml.jackson.core.{JsonFactory, JsonToken}

/** One message of a topic. `time` is in milliseconds; `value` is the number of the event. */
final case class Message(key: Int, time: Long, value: Long)

/** A message that cannot be parsed. */
final class Poison(reason: String) extends RuntimeException(reason, null, false, false)

/** The two formats of messages: JSON objects, and 20 bytes (key, time, value; the highest byte first). */
object Message {
  private val factory = new JsonFactory

  /** Raises `Poison` for anything else than a whole message. */
  def parse(bytes: Array[Byte], json: Boolean): Message =
    if (bytes == null) throw new Poison("no value") else if (json) fromJson(bytes) else fromBytes(bytes)

  private def fromBytes(bytes: Array[Byte]): Message = {
    if (bytes.length != 20) throw new Poison(s"${bytes.length} bytes")
    val buffer = ByteBuffer.wrap(bytes)
    Message(buffer.getInt(), buffer.getLong(), buffer.getLong())
  }

  private def fromJson(bytes: Array[Byte]): Message =
    try {
      val parser = factory.createParser(bytes)
      try {
        if (parser.nextToken() != JsonToken.START_OBJECT) throw new Poison("no object")
        var (key, time, value, seen) = (0, 0L, 0L, 0)
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          val name = parser.currentName
          parser.nextToken()
          name match {
            case "key" => key = parser.getIntValue; seen |= 1
            case "time" => time = parser.getLongValue; seen |= 2
            case "value" => value = parser.getLongValue; seen |= 4
            case _ => parser.skipChildren()
          }
        }
        if (seen != 7) throw new Poison("a field is missing")
        Message(key, time, value)
      } finally parser.close()
    } catch { case failure: java.io.IOException => throw new Poison(String.valueOf(failure.getMessage)) }

  def toBytes(message: Message, json: Boolean): Array[Byte] =
    if (json) s"""{"key":${message.key},"time":${message.time},"value":${message.value}}""".getBytes("US-ASCII")
    else ByteBuffer.allocate(20).putInt(message.key).putLong(message.time).putLong(message.value).array
}
