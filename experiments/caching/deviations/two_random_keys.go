// Hit ratios of evicting the older of two keys, drawn at random or taken from Go's map iteration.
//
//	go run two_random_keys.go
//
// JuiceFS's cache in memory takes its "two random keys" from a range over a map. Such a range begins
// at a random place, but goes on in the order of the table: the two are neighbours, and a key behind
// a gap of the table comes first more often than others. The two rows differ in nothing else.
package main

import (
	"fmt"
	"math/rand"
)

const (
	items, room, epochs, runs = 512, 256, 3, 60
)

// older returns the key of the pair that was used longer ago.
func older(first, second string, used map[string]int) string {
	if used[first] > used[second] {
		return second
	}
	return first
}

// fromRange takes the first two keys of a range over the map.
func fromRange(used map[string]int, _ []string) string {
	var pair []string
	for key := range used {
		if pair = append(pair, key); len(pair) == 2 {
			break
		}
	}
	return older(pair[0], pair[1], used)
}

// drawn draws two keys, each with the same chance.
func drawn(used map[string]int, keys []string) string {
	return older(keys[rand.Intn(len(keys))], keys[rand.Intn(len(keys))], used)
}

// hitRatio reads all items in a new shuffle in each epoch, and counts hits after the first.
func hitRatio(victim func(map[string]int, []string) string) float64 {
	hits, now := 0, 0
	for run := 0; run < runs; run++ {
		used := make(map[string]int)
		for epoch := 0; epoch < epochs; epoch++ {
			for _, item := range rand.Perm(items) {
				key := fmt.Sprintf("chunks/0/%d/%d_%d_0_65536", run, run*items+item, item)
				now++
				if _, held := used[key]; held && epoch > 0 {
					hits++
				}
				if used[key] = now; len(used) > room {
					keys := make([]string, 0, len(used))
					for held := range used {
						keys = append(keys, held)
					}
					delete(used, victim(used, keys))
				}
			}
		}
	}
	return float64(hits) / float64(runs*(epochs-1)*items)
}

func main() {
	fmt.Printf("older of two drawn keys:       %.3f\n", hitRatio(drawn))
	fmt.Printf("older of the first two ranged: %.3f\n", hitRatio(fromRange))
}
