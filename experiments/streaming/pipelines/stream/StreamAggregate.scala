package benchpaper

import scala.concurrent.Await
import scala.concurrent.duration.Duration

import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.stream.scaladsl.{Sink, Source}

/** The aggregation as a stream. */
object StreamAggregate extends App {
  implicit val system: ActorSystem = ActorSystem("aggregate")

  Passes(args) { (input, collector) =>
    val done = Source(0 until input.size)
      .map(i => (i, input.read(i)))
      .concat(Source.single((input.windows * input.window, -1L)))
      .statefulMapConcat { () =>
        val window = new Window
        var current = 0

        { case (i, event) =>
          val closed = if (i / input.window != current) window.close(current) else Vector.empty
          current = i / input.window
          if (event != -1L) window.add(event)
          closed
        }
      }
      .runWith(Sink.foreach(collector.take))
    Await.result(done, Duration.Inf)
  }
}
