// A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

var jobd, token = os.Getenv("JOBD"), os.Getenv("TOKEN")
var client = http.Client{Timeout: 90 * time.Second}

func ask(path string, body []byte) (*http.Response, []byte, error) {
	request, err := http.NewRequest("POST", jobd+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	payload, err := io.ReadAll(answer.Body)
	return answer, payload, err
}

// Tries until the server has decided: its answer and the payload; or nil, it never will.
func post(path string, body []byte) (*http.Response, []byte) {
	for pause := time.Second; ; {
		answer, payload, err := ask(path, body)
		if err == nil && answer.StatusCode < 300 {
			return answer, payload
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
		} else {
			fmt.Fprintf(os.Stderr, "%s: %d %s\n", path, answer.StatusCode, bytes.TrimSpace(payload))
			switch code := answer.StatusCode; {
			case code == 401 || code == 403:
				os.Exit(1)
			case code < 500 && code != 408 && code != 429:
				return nil, nil
			}
		}
		time.Sleep(pause)
		if pause *= 2; pause > 30*time.Second {
			pause = 30 * time.Second
		}
	}
}

func work(payload []byte) ([]byte, error) {
	return bytes.ToUpper(payload), nil
}

func main() {
	if jobd == "" {
		fmt.Fprintln(os.Stderr, "JOBD is not set: where is the server, as http://localhost:8080")
		os.Exit(1)
	}
	for {
		job, payload := post("/take?wait=30s", nil)
		if job == nil {
			time.Sleep(5 * time.Second)
		}
		if job == nil || job.StatusCode != 200 {
			continue
		}
		lease := job.Header.Get("Location")
		if output, err := work(payload); err != nil {
			post(lease+"/fail", []byte(err.Error()))
		} else {
			post(lease+"/done", output)
		}
	}
}
