// Chooses a manifest of an index as containerd does: one question and one answer a line, in JSON.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"sort"

	"github.com/containerd/platforms"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
)

type question struct {
	Wanted  specs.Platform    `json:"wanted"`
	Offered []*specs.Platform `json:"offered"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(choose(asked)); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

// The place of the manifest that containerd's images.Manifest walks to first, or -1.
func choose(asked question) int {
	matcher := platforms.Only(asked.Wanted)
	var places []int
	for place, offered := range asked.Offered {
		if offered == nil || matcher.Match(*offered) {
			places = append(places, place)
		}
	}
	sort.SliceStable(places, func(i, j int) bool {
		one, other := asked.Offered[places[i]], asked.Offered[places[j]]
		switch {
		case one == nil:
			return false
		case other == nil:
			return true
		default:
			return matcher.Less(*one, *other)
		}
	})
	if len(places) == 0 {
		return -1
	}
	return places[0]
}
