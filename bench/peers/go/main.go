// SPDX-License-Identifier: MIT

// The Go peer: net/http, a channel of 8, one goroutine that takes 50 ms a job.
//
//	go-peer ADDRESS [sleep|spin]
//
// With spin a job computes for its 50 ms in place of sleeping.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	capacity = 8
	workTime = 50 * time.Millisecond
)

type server struct {
	jobs                    chan uint64
	asked                   atomic.Uint64
	accepted, refused, done atomic.Uint64
}

func (s *server) put(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	select {
	case s.jobs <- s.asked.Add(1):
		s.accepted.Add(1)
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "queued\n")
	default:
		s.refused.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, "busy\n")
	}
}

func (s *server) stats(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "accepted %d\nrefused %d\ndone %d\n", s.accepted.Load(), s.refused.Load(), s.done.Load())
}

func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

func (s *server) work(do func(time.Duration)) {
	for id := range s.jobs {
		do(workTime)
		fmt.Println("done job", id)
		s.done.Add(1)
	}
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: go-peer ADDRESS [sleep|spin]")
	}
	do := time.Sleep
	if len(os.Args) > 2 && os.Args[2] == "spin" {
		do = spin
	}
	s := &server{jobs: make(chan uint64, capacity)}
	idle := make(chan struct{})
	go func() {
		s.work(do)
		close(idle)
	}()

	mux := http.NewServeMux()
	mux.HandleFunc("/do", s.put)
	mux.HandleFunc("/stats", s.stats)
	face := &http.Server{Addr: os.Args[1], Handler: mux}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	go func() {
		if err := face.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-stop.Done()
	patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := face.Shutdown(patience); err != nil {
		log.Fatal(err)
	}
	close(s.jobs)
	<-idle
}
