// POST / -> one record, answered 200 when all in-sync replicas have it.
//
//	post ADDRESS BROKER TOPIC
//
// The body is checked (JSON, UTF-8) and produced as it came.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

const maxBody = 1 << 20

func main() {
	address, broker, topic := os.Args[1], os.Args[2], os.Args[3]

	// idempotent by default; compression costs more than loopback does
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedRecords(100000),
		kgo.RecordDeliveryTimeout(5*time.Second),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		post(client, w, r)
	})
	log.Fatal(http.ListenAndServe(address, nil))
}

func post(client *kgo.Client, w http.ResponseWriter, r *http.Request) {
	body, err := read(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}

	record := kgo.Record{Value: body}
	if err := client.ProduceSync(r.Context(), &record).FirstErr(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"topic":"%s","partition":%d,"offset":%d}`+"\n",
		record.Topic, record.Partition, record.Offset)
}

// read takes a body of known length in one piece.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength <= 0 || r.ContentLength > maxBody {
		return io.ReadAll(limited)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(limited, body)
	return body, err
}
