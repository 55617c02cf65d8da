package benchpaper

import io.reactivex.rxjava3.core.Flowable
import io.reactivex.rxjava3.schedulers.Schedulers

/** The aggregation in RxJava, with the source on a thread of its own. */
object RxAggregate extends App {
  Passes(args) { (input, collector) =>
    var closed = 0
    Flowable.range(0, input.size)
      .map[java.lang.Long](i => input.read(i))
      .observeOn(Schedulers.computation())
      .window(input.window)
      .concatMap { events: Flowable[java.lang.Long] =>
        events.collect[Window](() => new Window, (window: Window, event: java.lang.Long) => window.add(event)).toFlowable
      }
      .blockingForEach { window =>
        window.close(closed).foreach(collector.take)
        closed += 1
      }
  }
}
