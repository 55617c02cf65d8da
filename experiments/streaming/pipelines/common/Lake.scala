package benchpaper

import java.io.ByteArrayOutputStream
import java.net.URI
import java.util.{Map => JMap, UUID}

import scala.jdk.CollectionConverters._

import org.apache.parquet.conf.PlainParquetConfiguration
import org.apache.parquet.example.data.simple.SimpleGroup
import org.apache.parquet.hadoop.example.ExampleParquetWriter
import org.apache.parquet.hadoop.metadata.CompressionCodecName
import org.apache.parquet.io.{OutputFile, PositionOutputStream}
import org.apache.parquet.schema.MessageTypeParser
import software.amazon.awssdk.auth.credentials.{AwsBasicCredentials, StaticCredentialsProvider}
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy
import software.amazon.awssdk.core.checksums.{RequestChecksumCalculation, ResponseChecksumValidation}
import software.amazon.awssdk.core.sync.RequestBody
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient
import software.amazon.awssdk.regions.Region
import software.amazon.awssdk.services.s3.S3Client
import software.amazon.awssdk.services.s3.model.{CompletedMultipartUpload, CompletedPart, PutObjectRequest, UploadPartRequest}

/** Rows as the bytes of a Parquet file. */
object Parquet {
  private val schema = MessageTypeParser.parseMessageType(
    "message row { required int64 window; required int32 key; required int64 count; required int64 sum; required int64 newest; required boolean late; }")

  def apply(rows: Iterable[Row]): Array[Byte] = {
    val bytes = new ByteArrayOutputStream
    val writer = ExampleParquetWriter.builder(new Memory(bytes)).withConf(new PlainParquetConfiguration).withType(schema)
      .withCompressionCodec(CompressionCodecName.UNCOMPRESSED).build()
    try rows.foreach { row =>
      val group = new SimpleGroup(schema)
      group.add("window", row.window)
      group.add("key", row.key)
      group.add("count", row.count)
      group.add("sum", row.sum)
      group.add("newest", row.newest)
      group.add("late", row.late)
      writer.write(group)
    } finally writer.close()
    bytes.toByteArray
  }

  private final class Memory(bytes: ByteArrayOutputStream) extends OutputFile {
    def create(block: Long): PositionOutputStream = new PositionOutputStream {
      def getPos: Long = bytes.size
      def write(byte: Int): Unit = bytes.write(byte)
      override def write(from: Array[Byte], at: Int, count: Int): Unit = bytes.write(from, at, count)
    }
    def createOrOverwrite(block: Long): PositionOutputStream = create(block)
    def supportsBlockSize: Boolean = false
    def defaultBlockSize: Long = 0
  }
}

/** A folder of Parquet objects in a bucket. */
final class Lake(url: String, bucket: String, access: String, secret: String, val prefix: String) extends Serializable {
  private val Seen = "seen"

  /** It tries a request again for several seconds, with growing pauses. */
  @transient private lazy val s3 = S3Client.builder
    .endpointOverride(URI.create(url)).region(Region.US_EAST_1).forcePathStyle(true)
    .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
    .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
    .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(access, secret)))
    .overrideConfiguration(configuration => configuration.retryStrategy(
      AwsRetryStrategy.standardRetryStrategy.toBuilder.maxAttempts(8).circuitBreakerEnabled(false).build()))
    .httpClient(UrlConnectionHttpClient.create()).build()

  /** Makes the client, which later requests need. */
  def warm(): Unit = s3.serviceName

  /** Writes an object, and says so on standard output: its name, rows, bytes, the time, and the highest time of an event. */
  def put(name: String, rows: Iterable[Row], seen: Long): Unit = {
    val bytes = Parquet(rows)
    s3.putObject(
      PutObjectRequest.builder.bucket(bucket).key(s"$prefix/$name").metadata(JMap.of(Seen, seen.toString)).build(),
      RequestBody.fromBytes(bytes))
    tell(name, rows.size, bytes.length, rows.filter(!_.late).map(_.newest).maxOption.getOrElse(0L))
  }

  /** Starts an upload that nobody sees before `complete`; returns its id and the tag of its only part. */
  def stage(name: String, rows: Iterable[Row]): (String, String) = {
    val key = s"$prefix/$name"
    val id = s3.createMultipartUpload(request => request.bucket(bucket).key(key)).uploadId
    val part = s3.uploadPart(UploadPartRequest.builder.bucket(bucket).key(key).uploadId(id).partNumber(1).build(),
      RequestBody.fromBytes(Parquet(rows)))
    (id, part.eTag)
  }

  /** Makes an upload visible. A second time it changes nothing. */
  def complete(name: String, id: String, tag: String): Unit = {
    val key = s"$prefix/$name"
    try s3.completeMultipartUpload(request => request.bucket(bucket).key(key).uploadId(id)
      .multipartUpload(CompletedMultipartUpload.builder.parts(CompletedPart.builder.partNumber(1).eTag(tag).build()).build()))
    catch {
      case gone: software.amazon.awssdk.services.s3.model.NoSuchUploadException =>
        if (!exists(key)) throw gone
    }
  }

  /** Asks whether the bucket exists: the smallest request, for whose answer the caller waits. */
  def ask(): Unit = s3.headBucket(request => request.bucket(bucket))

  private def exists(key: String): Boolean =
    try { s3.headObject(request => request.bucket(bucket).key(key)); true }
    catch { case _: software.amazon.awssdk.services.s3.model.NoSuchKeyException => false }

  def tell(name: String, rows: Int, bytes: Long, newest: Long): Unit =
    Report.line("written" -> s""""$name"""", "rows" -> rows, "bytes" -> bytes, "at" -> System.currentTimeMillis, "newest" -> newest)

  /** How far a partition was written, by the name and the metadata of its last object. */
  def progress(partition: Int, window: Long): Progress = {
    val names = s3.listObjectsV2Paginator(request => request.bucket(bucket).prefix(s"$prefix/$partition/"))
      .contents.asScala.map(_.key).toVector.sorted
    names.lastOption.fold(Lake.Start) { key =>
      val seen = s3.headObject(request => request.bucket(bucket).key(key)).metadata.get(Seen)
      Progress(Lake.window(key) + window, seen.toLong)
    }
  }
}

object Lake {
  val Start: Progress = Progress(Long.MinValue, 0)

  /** The name of a window's object: the same whoever writes it, and in the order of the windows. */
  def name(partition: Int, window: Long): String = f"$partition/$window%020d.parquet"

  /** A name that no other object has. */
  def unique(partition: Int, window: Long): String = f"$partition/$window%020d-${UUID.randomUUID}.parquet"

  def window(key: String): Long = key.substring(key.lastIndexOf('/') + 1).takeWhile(_.isDigit).toLong
}
