package benchpaper

import reactor.core.publisher.Flux
import reactor.core.scheduler.Schedulers

/** The aggregation in Reactor, with the source on a thread of its own. */
object ReactorAggregate extends App {
  Passes(args) { (input, collector) =>
    var closed = 0
    Flux.range(0, input.size)
      .map[java.lang.Long]((i: Integer) => java.lang.Long.valueOf(input.read(i)))
      .publishOn(Schedulers.parallel())
      .window(input.window)
      .concatMap[Window]((events: Flux[java.lang.Long]) =>
        events.collect[Window](() => new Window, (window: Window, event: java.lang.Long) => window.add(event)))
      .doOnNext { (window: Window) =>
        window.close(closed).foreach(collector.take)
        closed += 1
      }
      .blockLast()
  }
}
