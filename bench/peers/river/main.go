// SPDX-License-Identifier: MIT

// A producer and a worker of River, as a peer of the benchmark:
//
//	river-peer ADDRESS prepare
//	river-peer ADDRESS put WARMUP SECONDS
//	river-peer ADDRESS take COUNT SECONDS
//
// Makes its tables; 64 goroutines insert jobs of 100 bytes; a client with 64 workers does so many, or
// what it does in so many seconds: a job counts when PostgreSQL has its end. It fetches as often as it
// may, not ten times a second as by default. It says "window" when what counts begins, and at its end
// how long it took and how many there were.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const clients = 64

type nothing struct {
	Body string `json:"body"`
}

func (nothing) Kind() string { return "nothing" }

type worker struct {
	river.WorkerDefaults[nothing]
}

func (*worker) Work(context.Context, *river.Job[nothing]) error { return nil }

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "river-peer:", err)
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

func prepare(ctx context.Context, pool *pgxpool.Pool) {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	must(err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	must(err)
}

func put(ctx context.Context, client *river.Client[pgx.Tx], warmup, seconds int) {
	var puts atomic.Int64
	args := nothing{strings.Repeat("x", 100)}
	for i := 0; i < clients; i++ {
		go func() {
			for {
				_, err := client.Insert(ctx, args, nil)
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

func take(ctx context.Context, client *river.Client[pgx.Tx], count int64, seconds int) {
	ended, _ := client.Subscribe(river.EventKindJobCompleted)
	fmt.Println("window")
	begun := time.Now()
	must(client.Start(ctx))
	over := time.After(time.Duration(seconds) * time.Second)
	for done := int64(0); ; done++ {
		if done == count {
			report(begun, done)
			return
		}
		select {
		case <-ended:
		case <-over:
			report(begun, done)
			return
		}
	}
}

func main() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Args[1])
	must(err)
	config.MaxConns = clients
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(err)
	if os.Args[2] == "prepare" {
		prepare(ctx, pool)
		return
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: clients}},
		Workers:       workers,
		FetchCooldown: river.FetchCooldownMin,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	must(err)
	if os.Args[2] == "put" {
		put(ctx, client, number(os.Args[3]), number(os.Args[4]))
	} else {
		take(ctx, client, int64(number(os.Args[3])), number(os.Args[4]))
	}
}
