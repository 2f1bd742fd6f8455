import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

/** The partitions of 100,000 random keys, as one number: what tests/unit/producer/partitioner.c holds ours against. */
final class Partitions {
    private long state = 1;

    /** SplitMix64, which is easily said in every language. */
    private long next() {
        state += 0x9E3779B97F4A7C15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    String checksum() {
        long sum = 0xcbf29ce484222325L; // FNV-1a over the partitions

        for (int i = 0; i < 100_000; i++) {
            byte[] key = new byte[(int) (next() >>> 58)];
            for (int k = 0; k < key.length; k++)
                key[k] = (byte) (next() >>> 56);
            int count = (int) (next() >>> 54) + 1;
            sum = (sum ^ BuiltInPartitioner.partitionForKey(key, count)) * 0x100000001b3L;
        }
        return Long.toUnsignedString(sum, 16);
    }
}
