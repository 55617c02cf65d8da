package benchpaper

import scala.collection.mutable

/** A result: count and sum of one key in one window; or one late event. `newest` is the highest time in it. */
final case class Row(window: Long, key: Int, count: Long, sum: Long, newest: Long, late: Boolean)

/** What to do after an event was read. */
sealed trait Step { def key: Int }

/** Count an event into its window. */
final case class Add(key: Int, window: Long, time: Long, value: Long) extends Step

/** Write a window. It has rows of `keys`, and late events that came before. Once it is written, reading may begin at `resume`
  * (None: where it began), and all events before the offset `seen` are written, or belong to later windows. */
final case class Close[T](number: Long, window: Long, keys: Vector[Int], late: Vector[Row], resume: Option[T], seen: Long)

/** A part of a `Close`, for one key. */
final case class CloseKey[T](key: Int, close: Close[T]) extends Step

/** How far a partition was written: all windows that end by `closed`, and late events before the offset `seen`. */
final case class Progress(closed: Long, seen: Long)

/** The event-time windows of one partition, and its watermark: the highest time so far less `delay`.
  *
  * A window is closed once the watermark has reached its end; an event whose window is closed is late. `T` stands for a place
  * in the partition: what a consumer commits to continue after an event. After a crash, reading begins before events that are
  * written already: these are skipped by `progress`. */
final class Watermark[T](window: Long, delay: Long, progress: Progress) {
  private final class Open(val first: Long, val before: Option[T]) { val keys = mutable.BitSet.empty }

  private val open = mutable.TreeMap.empty[Long, Open]
  private val late = Vector.newBuilder[Row]
  private var (closed, newest, number) = (progress.closed, Long.MinValue, 0L)
  private var last: Option[T] = None
  var skipped = 0L

  /** Takes the event at `offset`; null stands for one that could not be parsed. */
  def read(offset: Long, place: T, message: Message): List[Step] = {
    val step = if (message == null) Nil else classify(offset, message)
    last = Some(place)
    if (message == null || message.time <= newest) step
    else {
      newest = message.time
      val ended = Math.floorDiv(newest - delay, window) * window
      if (ended <= closed) step
      else {
        closed = ended
        step ++ closing(_ + window <= closed, offset + 1)
      }
    }
  }

  /** Closes what is open: the partition has no more events. There is a last `Close` even if nothing is left to write. */
  def finish(seen: Long): List[Step] = {
    val steps = closing(_ => true, seen)
    if (steps.isEmpty) close(closed, Vector.empty, seen) else steps
  }

  private def classify(offset: Long, message: Message): List[Step] = {
    val start = Math.floorDiv(message.time, window) * window
    if (start + window > closed) {
      open.getOrElseUpdate(start, new Open(offset, last)).keys += message.key
      Add(message.key, start, message.time, message.value) :: Nil
    } else {
      if (offset < progress.seen) skipped += 1
      else {
        late += Row(start, message.key, 1, message.value, message.time, late = true)
        }
      Nil
    }
  }

  private def closing(ended: Long => Boolean, seen: Long): List[Step] = {
    var steps = List.empty[Step]
    while (open.nonEmpty && ended(open.head._1)) {
      val (start, state) = open.head
      open -= start
      steps = steps ++ close(start, state.keys.toVector, seen)
    }
    steps
  }

  private def close(start: Long, keys: Vector[Int], seen: Long): List[Step] = {
    val resume = if (open.isEmpty) last else open.values.minBy(_.first).before
    val rows = late.result()
    late.clear()
    val closing = Close(number, start, keys, rows, resume, seen)
    number += 1
    (if (keys.isEmpty) Vector(0) else keys).map(CloseKey(_, closing)).toList
  }
}
