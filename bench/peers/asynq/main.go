// SPDX-License-Identifier: MIT

// A producer and a worker of asynq, as a peer of the benchmark:
//
//	asynq-peer ADDRESS put WARMUP SECONDS
//	asynq-peer ADDRESS take COUNT SECONDS
//
// 64 goroutines put tasks of 100 bytes, or a server with 64 workers does so many, or what it does in so
// many seconds. It says "window" when what counts begins, and at its end how long it took and how many
// there were.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

const (
	clients = 64
	kind    = "nothing"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "asynq-peer:", err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	must(err)
	return value
}

func report(begun time.Time, operations int64) {
	fmt.Printf("seconds %.6f\noperations %d\nerrors 0\n", time.Since(begun).Seconds(), operations)
}

func put(redis asynq.RedisClientOpt, warmup, seconds int) {
	var puts atomic.Int64
	client := asynq.NewClient(redis)
	task := asynq.NewTask(kind, bytes.Repeat([]byte("x"), 100))
	for i := 0; i < clients; i++ {
		go func() {
			for {
				_, err := client.Enqueue(task)
				must(err)
				puts.Add(1)
			}
		}()
	}
	time.Sleep(time.Duration(warmup) * time.Second)
	fmt.Println("window")
	begun, before := time.Now(), puts.Load()
	time.Sleep(time.Duration(seconds) * time.Second)
	report(begun, puts.Load()-before)
}

func take(redis asynq.RedisClientOpt, count int64, seconds int) {
	var done atomic.Int64
	all := make(chan struct{})
	server := asynq.NewServer(redis, asynq.Config{Concurrency: clients, LogLevel: asynq.ErrorLevel})
	handler := func(context.Context, *asynq.Task) error {
		if done.Add(1) == count {
			close(all)
		}
		return nil
	}
	fmt.Println("window")
	begun := time.Now()
	must(server.Start(asynq.HandlerFunc(handler)))
	select {
	case <-all:
	case <-time.After(time.Duration(seconds) * time.Second):
	}
	report(begun, min(done.Load(), count))
}

func main() {
	redis := asynq.RedisClientOpt{Addr: os.Args[1], PoolSize: clients}
	if os.Args[2] == "put" {
		put(redis, number(os.Args[3]), number(os.Args[4]))
	} else {
		take(redis, int64(number(os.Args[3])), number(os.Args[4]))
	}
}
