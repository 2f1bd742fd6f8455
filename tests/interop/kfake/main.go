// A cluster of franz-go's kfake that does wrong where it is told so.
//
//	kfake TOPIC PARTITIONS PORT...    prints "ready ADDRESS,ADDRESS,..."; a broker a port; ends with its standard input
//
// Commands, a line each; each is answered with "ok", or "error" and why:
//
//	fail API COUNT CODE [THROTTLE_MS]   the next COUNT requests are answered with the code, and are not carried out
//	cut API COUNT                       the next COUNT end their connection (API -1: of any)
//	slow API COUNT MS                   the next COUNT wait so long
//	shuffle                             every partition has another leader
//	rehash                              every group has another coordinator
//	remove NODE, add NODE PORT          a broker goes; one comes
//	recreate                            the topic is deleted, and made again under another id
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type fake struct {
	cluster    *kfake.Cluster
	topic      string
	partitions int32
}

// A broker that is removed loses its connections, too; kfake itself only stops to listen.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func listen(network, address string) (net.Listener, error) {
	inner, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return &listener{Listener: inner}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, conn)
		l.mu.Unlock()
	}
	return conn, err
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		conn.Close()
	}
	return err
}

// Control functions are dropped by the request that they have handled.
func (f *fake) control(key, count int, does func(kmsg.Request) (kmsg.Response, error, bool)) {
	for range count {
		f.cluster.ControlKey(int16(key), does)
	}
}

func set(m any, name string, value int64) {
	if field := reflect.ValueOf(m).Elem().FieldByName(name); field.IsValid() {
		field.SetInt(value)
	}
}

// An answer that says `code` wherever this API says errors.
func refuse(request kmsg.Request, code int16) kmsg.Response {
	response := request.ResponseKind()
	switch asked := request.(type) {
	case *kmsg.ProduceRequest:
		answer := response.(*kmsg.ProduceResponse)
		for _, t := range asked.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, code
				topic.Partitions = append(topic.Partitions, partition)
			}
			answer.Topics = append(answer.Topics, topic)
		}
	case *kmsg.OffsetCommitRequest:
		answer := response.(*kmsg.OffsetCommitResponse)
		for _, t := range asked.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewOffsetCommitResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, code
				topic.Partitions = append(topic.Partitions, partition)
			}
			answer.Topics = append(answer.Topics, topic)
		}
	case *kmsg.FindCoordinatorRequest:
		answer := response.(*kmsg.FindCoordinatorResponse)
		for _, key := range asked.CoordinatorKeys {
			coordinator := kmsg.NewFindCoordinatorResponseCoordinator()
			coordinator.Key, coordinator.ErrorCode = key, code
			answer.Coordinators = append(answer.Coordinators, coordinator)
		}
	}
	set(response, "ErrorCode", int64(code))
	return response
}

func (f *fake) fail(key, count, code, throttleMs int) {
	f.control(key, count, func(request kmsg.Request) (kmsg.Response, error, bool) {
		response := refuse(request, int16(code))
		set(response, "ThrottleMillis", int64(throttleMs))
		return response, nil, true
	})
}

func (f *fake) cut(key, count int) {
	f.control(key, count, func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, fmt.Errorf("cut"), true
	})
}

func (f *fake) slow(key, count, ms int) {
	f.control(key, count, func(kmsg.Request) (kmsg.Response, error, bool) {
		f.cluster.DropControl()
		f.cluster.SleepControl(func() { time.Sleep(time.Duration(ms) * time.Millisecond) })
		return nil, nil, false
	})
}

func (f *fake) recreate() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cluster.ListenAddrs()...))
	if err != nil {
		return err
	}
	defer client.Close()
	gone := kmsg.NewPtrDeleteTopicsRequest()
	named := kmsg.NewDeleteTopicsRequestTopic()
	named.Topic = &f.topic
	gone.Topics, gone.TopicNames = append(gone.Topics, named), append(gone.TopicNames, f.topic)
	if _, err = gone.RequestWith(context.Background(), client); err != nil {
		return err
	}
	again := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = f.topic, f.partitions, 1
	again.Topics = append(again.Topics, topic)
	_, err = again.RequestWith(context.Background(), client)
	return err
}

func (f *fake) do(word string, n []int) error {
	need := map[string]int{"fail": 3, "cut": 2, "slow": 3, "remove": 1, "add": 2}[word]
	if len(n) < need {
		return fmt.Errorf("%s wants %d numbers", word, need)
	}
	switch word {
	case "fail":
		f.fail(n[0], n[1], n[2], append(n, 0)[3])
	case "cut":
		f.cut(n[0], n[1])
	case "slow":
		f.slow(n[0], n[1], n[2])
	case "shuffle":
		f.cluster.ShufflePartitionLeaders()
	case "rehash":
		f.cluster.RehashCoordinators()
	case "remove":
		return f.cluster.RemoveNode(int32(n[0]))
	case "add":
		_, _, err := f.cluster.AddNode(int32(n[0]), n[1])
		return err
	case "recreate":
		return f.recreate()
	default:
		return fmt.Errorf("no such command: %s", word)
	}
	return nil
}

func numbersOf(words []string) []int {
	var numbers []int
	for _, word := range words {
		n, err := strconv.Atoi(word)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: kfake TOPIC PARTITIONS PORT...")
		os.Exit(2)
	}
	numbers := numbersOf(os.Args[2:])
	f := &fake{topic: os.Args[1], partitions: int32(numbers[0])}
	f.cluster = kfake.MustCluster(kfake.Ports(numbers[1:]...), kfake.SeedTopics(f.partitions, f.topic),
		kfake.GroupMinSessionTimeout(time.Second), kfake.ListenFn(listen))
	defer f.cluster.Close()
	fmt.Println("ready", strings.Join(f.cluster.ListenAddrs(), ","))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if err := f.do(words[0], numbersOf(words[1:])); err != nil {
			fmt.Println("error", err)
		} else {
			fmt.Println("ok")
		}
	}
}
