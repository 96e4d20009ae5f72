import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Future;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

/**
 * Sends what it reads through the Kinesis Producer Library. A line is a record: base64 of the partition key, an explicit
 * hash key or '-', base64 of the data; an empty line waits until all before it is delivered, and is answered by "done".
 */
public class MakeAggregates {
  public static void main(String[] arguments) throws Exception {
    String stream = arguments[0];
    int port = Integer.parseInt(arguments[1]);
    KinesisProducer producer = new KinesisProducer(new KinesisProducerConfiguration()
        .setRegion("us-east-1")
        .setKinesisEndpoint("localhost").setKinesisPort(port).setVerifyCertificate(false)
        .setStsEndpoint("localhost").setStsPort(port)
        .setMetricsLevel("none")
        .setCredentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")))
        .setRecordMaxBufferedTime(1_000));
    Base64.Decoder base64 = Base64.getDecoder();
    List<Future<UserRecordResult>> sent = new ArrayList<>();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.isEmpty()) {
        for (Future<UserRecordResult> each : sent) each.get();
        sent.clear();
        System.out.println("done");
        continue;
      }
      String[] fields = line.split("\t", -1);
      String partitionKey = new String(base64.decode(fields[0]), "UTF-8");
      ByteBuffer data = ByteBuffer.wrap(base64.decode(fields[2]));
      sent.add(fields[1].equals("-")
          ? producer.addUserRecord(stream, partitionKey, data)
          : producer.addUserRecord(stream, partitionKey, fields[1], data));
    }
    producer.flushSync();
    producer.destroy();
  }
}
