package benchpaper

import java.lang.management.ManagementFactory
import java.nio.{ByteBuffer, ByteOrder}
import java.nio.channels.FileChannel
import java.nio.file.{Paths, StandardOpenOption}

import scala.jdk.CollectionConverters._

/** The arguments of a program, given as key=value. Each program begins with them, so here it is also said how one ends
  * that fails: with status 1, whatever threads of an actor system still run. */
final class Args(words: Array[String]) {
  Thread.setDefaultUncaughtExceptionHandler { (_, failure) =>
    failure.printStackTrace()
    Runtime.getRuntime.halt(1)
  }

  private val values = words.map { word =>
    val parts = word.split("=", 2)
    require(parts.length == 2, s"""argument "$word" must be key=value""")
    parts(0) -> parts(1)
  }.toMap

  def text(key: String): String = values.getOrElse(key, throw new IllegalArgumentException(s"argument $key= is missing"))
  def int(key: String): Int = text(key).toInt
  def long(key: String): Long = text(key).toLong
  def double(key: String): Double = text(key).toDouble
}

/** What a program says at its end: one line of JSON, numbers only, and samples as files of 64-bit numbers. */
object Report {
  private val system = ManagementFactory.getOperatingSystemMXBean.asInstanceOf[com.sun.management.OperatingSystemMXBean]
  private val threads = ManagementFactory.getThreadMXBean.asInstanceOf[com.sun.management.ThreadMXBean]

  /** CPU time of the whole process in seconds: the pipeline, and what the runtime does for it. */
  def cpu(): Double = system.getProcessCpuTime / 1e9

  /** CPU time of the calling thread in seconds. */
  def threadCpu(): Double = threads.getCurrentThreadCpuTime / 1e9

  /** Bytes that all threads have allocated so far, those that have ended as well. */
  def allocated(): Long = totalAllocated.invoke(threads).asInstanceOf[Long]

  // The pipelines run on a newer Java than Maven may, whose interface lacks it.
  private lazy val totalAllocated = classOf[com.sun.management.ThreadMXBean].getMethod("getTotalThreadAllocatedBytes")

  /** Most of the heap that was in use at once, in MiB: summed over pools, each at its own peak. */
  def heapPeak(): Double = ManagementFactory.getMemoryPoolMXBeans.asScala
    .filter(_.getType == java.lang.management.MemoryType.HEAP).map(_.getPeakUsage.getUsed).sum / 1048576.0

  /** Most memory of the process that was resident, in MiB. */
  def residentPeak(): Double = {
    val status = scala.io.Source.fromFile("/proc/self/status")
    try status.getLines.find(_.startsWith("VmHWM")).map(_.filter(_.isDigit).toDouble / 1024).getOrElse(0.0) finally status.close()
  }

  def line(values: (String, Any)*): Unit = {
    println(values.map { case (key, value) => s""""$key": $value""" }.mkString("{", ", ", "}"))
    Console.out.flush()
  }

  def samples(path: String, values: Array[Long], count: Int): Unit = {
    val buffer = ByteBuffer.allocate(8 * count).order(ByteOrder.LITTLE_ENDIAN)
    var i = 0
    while (i < count) { buffer.putLong(values(i)); i += 1 }
    buffer.flip()
    val file = FileChannel.open(Paths.get(path), StandardOpenOption.CREATE, StandardOpenOption.WRITE)
    try while (buffer.hasRemaining) file.write(buffer) finally file.close()
  }
}

/** The work of a stage: steps of a linear congruential generator, whose k-fold step has a closed form. They are variables,
  * for the compiler knows of that form, too: of constants it makes one step of many, and how many changes from run to run. */
object Work {
  private var a = 6364136223846793005L
  private var c = 1442695040888963407L

  def apply(x: Long, steps: Int): Long = {
    val multiplier = a
    val increment = c
    var value = x
    var i = 0
    while (i < steps) { value = value * multiplier + increment; i += 1 }
    value
  }

  /** Takes a processor for so long: a service time that does not depend on the compiler. */
  def spinUntil(nanos: Long): Unit = while (System.nanoTime() < nanos) Thread.onSpinWait()
}
