package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// Acks are what one server, and the imports beside it, said that they have done.
type acks struct {
	mu            sync.Mutex
	versionEvents []int64
	events        []int64           // of the assessment
	created       []string          // serials
	imported      []string          // serials
	killed        map[string]string // serials of imports that were not, and what of
	full          chan struct{}     // closed once there are many of each
}

// add notes what was done.
func (a *acks) add(note func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.enough()
	note()
	if !before && a.enough() {
		close(a.full)
	}
}

func (a *acks) enough() bool {
	return len(a.versionEvents) >= 20 && len(a.events) >= 20 && len(a.created) >= 10 && len(a.imported) >= 2
}

// What was acknowledged is there after the server and imports were killed in the
// middle of more, and of the rest nothing is there by halves.
func TestKilledPolarKeepsWhatItAcknowledged(t *testing.T) {
	p := newPolar(t)
	p.must("check", "add", "ipv4")
	p.must("cluster", "add", "here", "--endpoint", "unix:")
	p.must(p.importing("20260101", p.build("20260101"))...)
	var rounds []*acks
	for range 3 {
		rounds = append(rounds, p.burst(len(rounds)))
		p.holds(rounds)
	}
}

// build writes a build's files: enough to be killed in the middle of them.
func (p *polarSite) build(serial string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	for name, times := range map[string]int{"incus.tar.xz": 1, "rootfs.squashfs": 1 << 18} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte(name+" of "+serial), times), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	return dir
}

func (p *polarSite) importing(serial, dir string) []string {
	return []string{"version", "import", dir, "--product", polarProduct, "--serial", serial, "--test"}
}

// burst has a server do much at once beside imports, kills all of it, and returns
// what was acknowledged.
func (p *polarSite) burst(round int) *acks {
	p.t.Helper()
	p.serve()
	session := p.login()
	assessment, err := p.post(p.t.Context(), session, "/publish/testing/versions/1/assessments",
		map[string]any{"assessment": map[string]any{"check_id": 1, "cluster_id": 1, "instance_type": "container"}})
	if err != nil {
		p.t.Fatal(err)
	}
	done := &acks{killed: map[string]string{}, full: make(chan struct{})}
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	events := func(of *[]int64, path, name string) {
		for {
			ev, err := p.post(ctx, session, path, map[string]any{"event": map[string]string{"name": name}})
			if err != nil {
				return
			}
			done.add(func() { *of = append(*of, ev.ID) })
		}
	}
	for i := range 2 {
		wg.Go(func() { events(&done.versionEvents, "/publish/versions/1/events", "test") })
		wg.Go(func() {
			events(&done.events, fmt.Sprintf("/publish/testing/assessments/%d/events", assessment.ID), "run")
		})
		wg.Go(func() { p.create(ctx, session, fmt.Sprintf("20260201-%d-%d", round, i), done) })
		wg.Go(func() { p.imports(ctx, fmt.Sprintf("20260301-%d-%d", round, i), done) })
	}
	select {
	case <-done.full:
	case <-ctx.Done():
		p.t.Error("too little was done")
	}
	if err := p.server.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	cancel()
	_ = p.server.Wait() // it was killed
	wg.Wait()
	return done
}

// create makes versions over the API until it is gone.
func (p *polarSite) create(ctx context.Context, session, prefix string, done *acks) {
	for n := 0; ; n++ {
		serial := fmt.Sprintf("%s-%d", prefix, n)
		hash := sha256.Sum256([]byte(serial))
		var items []map[string]any
		for i, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
			hash[0] = byte(i)
			items = append(items, map[string]any{"name": name, "file_type": name, "hash": hex.EncodeToString(hash[:]), "size": 1,
				"path": "images/elsewhere/" + serial + "/" + name, "is_metadata": i == 0, "combined_hashes": []any{}})
		}
		_, err := p.post(ctx, session, "/publish/products/1/versions", map[string]any{"version": map[string]any{"serial": serial, "items": items}})
		if err != nil {
			return
		}
		done.add(func() { done.created = append(done.created, serial) })
	}
}

// imports imports builds until ctx is done, which kills the import that runs.
func (p *polarSite) imports(ctx context.Context, prefix string, done *acks) {
	for n := 0; ctx.Err() == nil; n++ {
		serial := fmt.Sprintf("%s-%d", prefix, n)
		dir := p.build(serial)
		err := p.command(ctx, p.importing(serial, dir)...).Run()
		done.add(func() {
			if err == nil {
				done.imported = append(done.imported, serial)
			} else {
				done.killed[serial] = dir
			}
		})
	}
}

// holds holds that all that was acknowledged is there, and is whole.
func (p *polarSite) holds(rounds []*acks) {
	p.t.Helper()
	ctx := p.t.Context()
	store, err := polarstore.Open(ctx, p.data, polarstore.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	defer store.Close()
	versions, err := store.Versions(ctx, polarProduct)
	if err != nil {
		p.t.Fatal(err)
	}
	state := map[string]string{}
	for _, v := range versions {
		state[v.Serial] = v.State
		p.whole(store, v)
	}
	assessments, err := store.Assessments(ctx, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	ofVersion, err := store.VersionEvents(ctx, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	ofAssessment, err := store.AssessmentEvents(ctx, assessments[0].ID)
	if err != nil {
		p.t.Fatal(err)
	}
	p.chained("the version", state["20260101"], ofVersion)
	p.chained("the assessment", assessments[0].State, ofAssessment)
	for _, done := range rounds {
		p.have("events of the version", ofVersion, done.versionEvents)
		p.have("events of the assessment", ofAssessment, done.events)
		for _, serial := range done.created {
			if state[serial] != "created" {
				p.t.Errorf("%s was created, and is %q", serial, state[serial])
			}
		}
		for _, serial := range done.imported {
			if state[serial] != "testing" {
				p.t.Errorf("%s was imported and tested, and is %q", serial, state[serial])
			}
		}
	}
	p.sound()
	for serial, dir := range rounds[len(rounds)-1].killed {
		p.must(p.importing(serial, dir)...)
	}
	if left, err := os.ReadDir(filepath.Join(p.data, "files", "incoming")); err != nil || len(left) > 0 {
		p.t.Errorf("killed imports left %v, %v", left, err)
	}
}

// have holds that what was acknowledged is there.
func (p *polarSite) have(what string, there []polarstore.Event, acknowledged []int64) {
	p.t.Helper()
	for _, id := range acknowledged {
		if !slices.ContainsFunc(there, func(ev polarstore.Event) bool { return ev.ID == id }) {
			p.t.Errorf("%s: %d was acknowledged, and is not there", what, id)
		}
	}
}

// chained holds that each event begins where the one before ended.
func (p *polarSite) chained(what, state string, events []polarstore.Event) {
	p.t.Helper()
	at := "created"
	for _, ev := range events {
		if ev.From != at {
			p.t.Errorf("%s: event %d is from %s, where it was %s", what, ev.ID, ev.From, at)
		}
		at = ev.To
	}
	if at != state {
		p.t.Errorf("%s is %s, where its events led to %s", what, state, at)
	}
}

// whole holds that the version has all its items, and an imported one its files.
func (p *polarSite) whole(store *polarstore.Store, v polarstore.Version) {
	p.t.Helper()
	items, err := store.Items(p.t.Context(), v.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	if strings.HasPrefix(v.Serial, "20260201") { // made by the API, of files that are elsewhere
		if len(items) != 2 {
			p.t.Errorf("%s has %d items", v.Serial, len(items))
		}
		return
	}
	if len(items) != 3 {
		p.t.Errorf("%s has %d items", v.Serial, len(items))
	}
	for _, it := range items {
		data, err := os.ReadFile(filepath.Join(p.data, "files", it.Path))
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != it.Hash {
			p.t.Errorf("%s: %s is not what was imported; %v", v.Serial, it.Name, err)
		}
	}
}

// sound holds that the database is.
func (p *polarSite) sound() {
	p.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.data, "polar.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	var integrity string
	var broken int
	if err := db.QueryRowContext(p.t.Context(), "PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
		p.t.Errorf("integrity: %s, %v", integrity, err)
	}
	if err := db.QueryRowContext(p.t.Context(), "SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken); err != nil || broken > 0 {
		p.t.Errorf("%d broken references, %v", broken, err)
	}
}
