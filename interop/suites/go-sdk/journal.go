package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// entry is one request that an emulator had.
type entry struct {
	Operation  string
	Status     int
	Path       string
	Headers    []string
	Authorized bool
	BodyBytes  int `json:"body_bytes"`
	Scopes     []string
}

// asked gives the requests of an operation whose path has this part, in their order.
func (e emulator) asked(operation, part string) []entry {
	return e.find(func(found entry) bool {
		return found.Operation == operation && isOf(found, part)
	})
}

func isOf(found entry, part string) bool {
	return strings.Contains(get(url.PathUnescape(found.Path)), part)
}

// marked gives the requests of an operation by one client.
func (e emulator) marked(operation string, client mark) []entry {
	return e.find(func(found entry) bool {
		return found.Operation == operation && slices.Contains(found.Headers, string(client))
	})
}

func (e emulator) find(wanted func(entry) bool) []entry {
	var entries []entry
	for line := range bytes.Lines(get(os.ReadFile(e.get("JOURNAL")))) {
		var found entry
		must(json.Unmarshal(line, &found))
		if wanted(found) {
			entries = append(entries, found)
		}
	}
	return entries
}

// statuses waits until a request is recorded, which is after its answer was sent, and gives the
// statuses of all that were found.
func statuses(find func() []entry, count int) string {
	var found []int
	for range 100 {
		found = nil
		for _, entry := range find() {
			found = append(found, entry.Status)
		}
		if len(found) >= count {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Sprint(found)
}
