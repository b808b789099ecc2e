// Sends each line of its input, a JSON value, as a record of its own.
//
//	go run send.go URL [SECONDS] < records
//
// What may be sent again is sent again for SECONDS (60), with the same
// Idempotency-Key: with "dedupe" in the daemon each record becomes one row.
// Exit status 1: a record was refused, or nobody knows whether it was kept.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

type answer struct{ Title, Detail, Persisted string }

var client = &http.Client{Timeout: 20 * time.Second}

// post returns the status, the answer and the time that the server asks to
// wait.
func post(url string, record []byte, key string) (int, answer, time.Duration) {
	said := answer{Persisted: "possibly"}
	request, err := http.NewRequest("POST", url, bytes.NewReader(record))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := client.Do(request)
	if err != nil {
		// no answer: the record may have been kept
		said.Title = err.Error()
		return 0, said, 0
	}
	defer response.Body.Close()
	said = answer{Title: response.Status}
	_ = json.NewDecoder(response.Body).Decode(&said)
	wait, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return response.StatusCode, said, time.Duration(wait) * time.Second
}

// send returns whether the record is kept, and says why not.
func send(url string, record []byte, limit time.Duration) bool {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	// it begins with the time, so that PostgreSQL finds its place at once
	key := fmt.Sprintf("%d-%x", time.Now().UnixMilli(), random)
	deadline := time.Now().Add(limit)
	maybe := false
	for pause := 200 * time.Millisecond; ; pause = (pause*2 + 5*time.Second) / 3 {
		status, said, wait := post(url, record, key)
		if status >= 200 && status < 300 {
			return true
		}
		maybe = maybe || said.Persisted == "possibly"
		if wait == 0 {
			wait = pause/2 + pause/2*time.Duration(random[0])/255
		}
		again := status == 0 || status == 408 || status == 429 || status >= 500
		if !again || time.Now().Add(wait).After(deadline) {
			fmt.Fprintf(os.Stderr, "not kept (maybe: %t): %d %s %s: %s\n",
				maybe, status, said.Title, said.Detail, record)
			return false
		}
		time.Sleep(wait)
	}
}

func main() {
	words := append(os.Args[1:], "60")
	if len(words) < 2 {
		fmt.Fprintln(os.Stderr, "usage: send URL [SECONDS] < records")
		os.Exit(2)
	}
	seconds, _ := strconv.Atoi(words[1])
	sent, kept := 0, 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if record := bytes.TrimSpace(lines.Bytes()); len(record) > 0 {
			sent++
			if send(words[0], record, time.Duration(seconds)*time.Second) {
				kept++
			}
		}
	}
	fmt.Printf("%d of %d records are kept\n", kept, sent)
	if kept < sent {
		os.Exit(1)
	}
}
