// A topic into a table, at least once: offsets are committed behind the COPY.
//
//	rows BROKER TOPIC GROUP DATABASE COUNT
//
// Decodes one batch while PostgreSQL takes the one before it.  Ends after
// COUNT rows.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

const batchRows = 50000

type event struct {
	Title   string `json:"title"`
	Content string `json:"content"`
	at      time.Time
}

type batch struct {
	records []*kgo.Record
	events  []event
}

func main() {
	broker, topic, group, database := os.Args[1], os.Args[2], os.Args[3],
		os.Args[4]
	count, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		log.Fatal(err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(50*time.Millisecond),
		kgo.FetchMaxPartitionBytes(4<<20),
	)
	if err != nil {
		log.Fatal(err)
	}

	batches := make(chan batch, 1)
	go decode(ctx, client, batches)
	for rows := 0; rows < count; {
		b := <-batches
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"consumed"},
			[]string{"title", "content", "created_at"},
			pgx.CopyFromSlice(len(b.events), func(i int) ([]any, error) {
				e := &b.events[i]
				return []any{e.Title, e.Content, e.at}, nil
			}))
		if err != nil {
			log.Fatal(err)
		}
		if err := client.CommitRecords(ctx, b.records...); err != nil {
			log.Fatal(err)
		}
		rows += len(b.events)
	}
	client.Close()
}

func decode(ctx context.Context, client *kgo.Client, batches chan<- batch) {
	for {
		fetches := client.PollRecords(ctx, batchRows)
		if fetches.IsClientClosed() {
			return
		}
		if err := fetches.Err0(); err != nil {
			log.Fatal(err)
		}
		b := batch{records: fetches.Records()}
		b.events = make([]event, len(b.records))
		for i, record := range b.records {
			if err := json.Unmarshal(record.Value, &b.events[i]); err != nil {
				log.Fatalf("%d: %v", record.Offset, err)
			}
			b.events[i].at = record.Timestamp
		}
		batches <- b
	}
}
