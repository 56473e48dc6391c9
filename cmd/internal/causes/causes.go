// Package causes tells from the evidence of a failure what led to it. It reads
// texts only. A rule speaks up only where what failed has to do with it, and says
// nothing rather than something that may be wrong.
package causes

import (
	"strings"
	"sync"
	"unicode"

	"github.com/upmaru/icepak/checks"
)

const (
	most    = 3   // causes of one failure
	maxText = 240 // characters of a cause
)

// A Finding is a cause, in one printable line, and the piece of evidence that it
// was read from: its name, or output where it is what the check itself has said.
type Finding struct{ Text, Piece string }

// output is the name of what the failed results say themselves.
const output = "output"

// OfCheck returns the causes of a check that failed, the likeliest first and three
// at the most. evidence are the collected texts by their names.
func OfCheck(results []checks.Result, evidence map[string]string) []Finding {
	s := newScene(results, evidence)
	if len(s.failed) == 0 {
		return nil
	}
	return s.causes()
}

// OfImage returns the causes of an image that failed as a whole, such as one that
// never got ready. The evidence may be no more than the console and lxc.log.
func OfImage(evidence map[string]string) []Finding {
	s := &scene{evidence: evidence, about: boot}
	return s.causes()
}

// A topic is what a failure is about. Rules and failures may have several.
type topic uint

const (
	ipv4 topic = 1 << iota
	ipv6
	dns
	packages
	services
	files
	disk
	memory
	tls
	clock
	locale
	gpu
	boot
	output0 // what every failed check has: a text
)

// A rule looks for one kind of cause.
type rule struct {
	name  string
	about topic // one of these has to be at issue
	find  func(*scene) []Finding
}

// An entry is a rule in the table. Of those about services, only the first that
// finds something of a service counts: the others repeat it in weaker words.
type entry struct {
	rule
	ofService bool
}

// ruleTable is made once, and only where something has failed: it has many
// patterns.
var ruleTable = sync.OnceValue(func() []entry {
	var all []entry
	for _, some := range [][]rule{bootRules(), diskRules(), networkRules(), nameRules(), packageRules(), otherRules()} {
		for _, r := range some {
			all = append(all, entry{rule: r})
		}
	}
	for _, r := range append(serviceRules(), lastRules()...) {
		all = append(all, entry{r, true})
	}
	return all
})

// causes asks the rules in their order.
func (s *scene) causes() []Finding {
	var all []Finding
	said := map[string]bool{}
	explained := map[string]bool{} // services, by their units
	for _, r := range ruleTable() {
		if r.about&s.about == 0 {
			continue
		}
		for _, f := range r.find(s) {
			f.Text = printable(f.Text)
			if f.Text == "" || said[f.Text] || strings.Contains(s.said, f.Text) {
				continue
			}
			unit := strings.TrimPrefix(strings.TrimPrefix(f.Piece, "journal-"), "unit-")
			if r.ofService && (explained[unit] || unit == f.Piece && len(explained) > 0) {
				continue
			}
			said[f.Text] = true
			if r.ofService {
				explained[unit] = true
			}
			if all = append(all, f); len(all) == most {
				return all
			}
		}
	}
	return all
}

// printable is a text as one line that any terminal can show.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			return r
		}
		return -1
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText-1]) + "…"
	}
	return text
}
