// Program franz is the franz-go client of the interop tests: one command a process, JSON lines on stdout.
//
//	franz produce BOOTSTRAP TOPIC PARTITIONS CODEC COUNT      numbered records, acknowledged one and all
//	franz loop    BOOTSTRAP TOPIC PARTITIONS PREFIX           numbered records until stdin ends
//	franz read    BOOTSTRAP TOPIC PARTITIONS                  every record up to the end
//	franz group   BOOTSTRAP TOPIC GROUP BALANCER [INSTANCE]   a member until stdin ends; commits what it polled
//	franz offsets BOOTSTRAP TOPIC PARTITIONS TIMESTAMP        offsets by time (-1 end, -2 start)
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

var balancers = map[string]kgo.GroupBalancer{
	"cooperative-sticky": kgo.CooperativeStickyBalancer(), "range": kgo.RangeBalancer(),
	"roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(),
}

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: franz COMMAND BOOTSTRAP TOPIC ..."))
	}
	command, bootstrap, topic, rest := os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	switch command {
	case "produce":
		produce(bootstrap, topic, number(rest[0]), rest[1], number(rest[2]))
	case "loop":
		loop(bootstrap, topic, number(rest[0]), rest[1])
	case "read":
		read(bootstrap, topic, number(rest[0]))
	case "group":
		group(bootstrap, topic, rest[0], rest[1], rest[2:])
	case "offsets":
		offsets(bootstrap, topic, number(rest[0]), int64(number(rest[1])))
	default:
		fail(fmt.Errorf("no such command: %s", command))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "franz:", err)
	os.Exit(1)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		fail(err)
	}
	return n
}

var printing sync.Mutex

func say(value any) {
	printing.Lock()
	defer printing.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fail(err)
	}
}

func newClient(bootstrap string, options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.FetchMaxWait(50 * time.Millisecond),
		kgo.MetadataMinAge(100 * time.Millisecond)}, options...)...)
	if err != nil {
		fail(err)
	}
	return client
}

// stdinEnds returns a context that is cancelled when stdin ends: the test's word to stop.
func stdinEnds() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}

func produce(bootstrap, topic string, partitions int, codec string, count int) {
	client := newClient(bootstrap, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.ProducerLinger(10*time.Millisecond))
	defer client.Close()
	var records []*kgo.Record
	for i := 0; i < count; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: []byte(fmt.Sprint("key ", i)),
			Value: []byte(fmt.Sprint(codec, " ", i)), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
			Headers: []kgo.RecordHeader{{Key: "codec", Value: []byte(codec)}, {Key: "null"}}})
	}
	if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		fail(err)
	}
	for _, r := range records { // now with the offsets of the answers
		say(map[string]any{"partition": r.Partition, "offset": r.Offset})
	}
}

// loop sends PREFIX-PARTITION-NUMBER to all partitions in turn.  It prints {"count": acknowledged} now and then, and at
// the end what was acknowledged: {"acked": {partition: [[number, offset], ...]}, "sent": {...}, "errors": [...]}.
func loop(bootstrap, topic string, partitions int, prefix string) {
	stopped := stdinEnds()
	client := newClient(bootstrap, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1),
		kgo.RetryTimeout(100*time.Second), kgo.MaxBufferedRecords(200))
	defer client.Close()

	var lock sync.Mutex
	acked, sent, failures, count := map[int][][2]int64{}, map[int]int{}, []string{}, 0
	for i := 0; stopped.Err() == nil; i++ {
		partition, n := i%partitions, i/partitions
		record := &kgo.Record{Topic: topic, Partition: int32(partition), Value: []byte(fmt.Sprintf("%s-%d-%d", prefix, partition, n))}
		client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failures = append(failures, err.Error())
				return
			}
			acked[partition] = append(acked[partition], [2]int64{int64(n), r.Offset})
			if count++; count%100 == 0 {
				say(map[string]int{"count": count})
			}
		})
		sent[partition] = n + 1
		if partition == 0 {
			time.Sleep(time.Millisecond) // a stream over seconds, not a flood
		}
	}
	if err := client.Flush(context.Background()); err != nil {
		fail(err)
	}
	say(map[string]any{"acked": acked, "sent": sent, "errors": failures})
}

func sayRecord(r *kgo.Record) {
	var headers [][]any
	for _, h := range r.Headers {
		var value any
		if h.Value != nil {
			value = string(h.Value)
		}
		headers = append(headers, []any{h.Key, value})
	}
	say(map[string]any{"record": map[string]any{"partition": r.Partition, "offset": r.Offset, "key": string(r.Key),
		"value": string(r.Value), "timestamp": r.Timestamp.UnixMilli(), "headers": headers}})
}

func read(bootstrap, topic string, partitions int) {
	ends := ask(bootstrap, topic, partitions, -1)
	left := 0
	start := map[int32]kgo.Offset{}
	for partition, end := range ends {
		start[partition] = kgo.NewOffset().AtStart()
		if end[0] > 0 {
			left++
		}
	}
	client := newClient(bootstrap, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			fail(err)
		}
		fetches.EachError(func(t string, p int32, err error) { fail(fmt.Errorf("%s-%d: %w", t, p, err)) })
		fetches.EachRecord(func(r *kgo.Record) {
			sayRecord(r)
			if r.Offset == ends[r.Partition][0]-1 {
				left--
			}
		})
	}
}

func group(bootstrap, topic, name, balancer string, instance []string) {
	stopped := stdinEnds()
	event := func(what string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			if len(partitions[topic]) > 0 {
				say(map[string]any{what: partitions[topic]})
			}
		}
	}
	commit := func(client *kgo.Client) {
		if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "franz: commit:", err)
		}
	}
	revoked := func(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
		commit(client)
		event("revoked")(ctx, client, partitions)
	}
	session := 10 * time.Second // a member that is killed is missed, one on a busy machine is not
	if len(instance) > 0 {
		session = 45 * time.Second // it comes back within that
	}
	options := []kgo.Opt{kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic), kgo.Balancers(balancers[balancer]),
		kgo.SessionTimeout(session), kgo.HeartbeatInterval(100 * time.Millisecond), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(event("assigned")),
		kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(event("lost")), kgo.BlockRebalanceOnPoll()}
	if len(instance) > 0 {
		options = append(options, kgo.InstanceID(instance[0]))
	}
	client := newClient(bootstrap, options...)
	for stopped.Err() == nil {
		fetches := client.PollFetches(stopped)
		fetches.EachError(func(t string, p int32, err error) { fmt.Fprintln(os.Stderr, "franz:", t, p, err) })
		fetches.EachRecord(sayRecord)
		if fetches.NumRecords() > 0 {
			commit(client)
		}
		client.AllowRebalance() // what was polled is said and committed
	}
	client.CloseAllowingRebalance()
	say(map[string]any{"left": true})
}

// ask returns offset and timestamp of each partition, by time.
func ask(bootstrap, topic string, partitions int, timestamp int64) map[int32][2]int64 {
	client := newClient(bootstrap)
	defer client.Close()
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	wanted := kmsg.NewListOffsetsRequestTopic()
	wanted.Topic = topic
	for p := 0; p < partitions; p++ {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = int32(p), timestamp
		wanted.Partitions = append(wanted.Partitions, partition)
	}
	request.Topics = append(request.Topics, wanted)
	result := map[int32][2]int64{}
	for _, shard := range client.RequestSharded(context.Background(), request) {
		if shard.Err != nil {
			fail(shard.Err)
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					fail(fmt.Errorf("ListOffsets of %s-%d: error %d", topic, p.Partition, p.ErrorCode))
				}
				result[p.Partition] = [2]int64{p.Offset, p.Timestamp}
			}
		}
	}
	return result
}

func offsets(bootstrap, topic string, partitions int, timestamp int64) {
	say(ask(bootstrap, topic, partitions, timestamp))
}
