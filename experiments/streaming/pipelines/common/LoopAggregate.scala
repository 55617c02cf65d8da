package benchpaper

/** The aggregation as a plain loop: what one thread costs. */
object LoopAggregate extends App {
  Passes(args) { (input, collector) =>
    val window = new Window
    var i = 0
    while (i < input.size) {
      window.add(input.read(i))
      i += 1
      if (i % input.window == 0 || i == input.size) window.close((i - 1) / input.window).foreach(collector.take)
    }
  }
}
