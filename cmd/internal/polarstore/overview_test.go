package polarstore

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An assessed store has versions of the product testKey, made a second apart, and a
// check ipv4 that they are assessed by.
type assessed struct {
	*Store
	clock          *clock
	check, cluster int64
	versions       []Version
}

func newAssessed(t *testing.T, versions int) *assessed {
	t.Helper()
	a := &assessed{clock: &clock{time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}}
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "polar"), Options{Now: a.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a.Store = s
	for i := range versions {
		a.versions = append(a.versions, importBuild(t, s, fmt.Sprintf("202611%02d", i+1)))
		a.tick()
	}
	checks, err := s.AddChecks(t.Context(), "ipv4")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := s.AddCluster(t.Context(), testCluster(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	a.check, a.cluster = checks[0].ID, cluster.ID
	return a
}

func (a *assessed) tick() { a.clock.t = a.clock.t.Add(time.Second) }

// assess fires events on the version's assessment as a container.
func (a *assessed) assess(t *testing.T, v Version, events ...string) {
	t.Helper()
	made, err := a.Assessment(t.Context(), v.ID, a.check, a.cluster, "container")
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if _, err := a.FireAssessment(t.Context(), made.ID, event, By{Actor: "tester", Comment: "by hand"}); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *assessed) report(t *testing.T, v Version, failures map[string]string) {
	t.Helper()
	r := Report{VersionID: v.ID, InstanceType: "container", Verdict: "fail", Failures: failures, Document: []byte(`{}`)}
	if err := a.PutReport(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestOverviewHasTheNewestVersionsOfEachProduct(t *testing.T) {
	a := newAssessed(t, 3)
	if _, err := a.AddProduct(t.Context(), "alpine:3.22:arm64:default", nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key    string
		newest int
		want   string
	}{
		{"", 0, "alpine:3.22:arm64:default(0): debian:bookworm:amd64:default(3): 20261103 20261102 20261101"},
		{"", 2, "alpine:3.22:arm64:default(0): debian:bookworm:amd64:default(3): 20261103 20261102"},
		{"Debian:Bookworm:amd64:default", 1, "debian:bookworm:amd64:default(3): 20261103"},
		{"alpine:3.22:arm64:default", 1, "alpine:3.22:arm64:default(0):"},
	} {
		t.Run(fmt.Sprintf("%d of %q", tt.newest, tt.key), func(t *testing.T) {
			products, err := a.Overview(t.Context(), tt.key, tt.newest)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range products {
				got = append(got, fmt.Sprintf("%s(%d):", p.Key, p.Total))
				for _, v := range p.Versions {
					got = append(got, v.Serial)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %s", strings.Join(got, " "))
			}
		})
	}
	if _, err := a.Overview(t.Context(), "debian:sid:amd64:default", 0); !isNotFound(err) {
		t.Errorf("an unknown product: %v", err)
	}
}

func TestStatusTellsTheLastEvents(t *testing.T) {
	a := newAssessed(t, 2)
	fire(t, a.Store, a.versions[0], "test")
	a.tick()
	a.assess(t, a.versions[0], "run", "fail")
	a.tick()
	products, err := a.Overview(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	untouched, v := products[0].Versions[0], products[0].Versions[1]
	if v.State != "testing" || !v.Changed.Equal(a.clock.t.Add(-2*time.Second)) || len(v.Assessments) != 1 {
		t.Fatalf("got %+v", v)
	}
	got := v.Assessments[0]
	if got.Check != "ipv4" || got.State != "failed" || got.Why != "by hand" || !got.Updated.Equal(a.clock.t.Add(-time.Second)) {
		t.Errorf("got %+v", got)
	}
	if untouched.State != "created" || !untouched.Changed.Equal(untouched.Created) || len(untouched.Assessments) != 0 {
		t.Errorf("got %+v", untouched)
	}
	one, err := a.VersionStatus(t.Context(), v.ID)
	if err != nil || one.Assessments[0] != got {
		t.Errorf("by id %+v, %v", one, err)
	}
	if _, err := a.VersionStatus(t.Context(), 99); !isNotFound(err) {
		t.Errorf("an unknown version: %v", err)
	}
}

func TestAFailureIsExplainedByItsOwnReport(t *testing.T) {
	why := map[string]string{"ipv4": "no address"}
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *assessed, Version)
		want string
	}{
		{"the report came with it", func(t *testing.T, a *assessed, v Version) {
			a.assess(t, v, "run", "fail")
			a.report(t, v, why)
		}, "no address"},
		{"the report is of an earlier run", func(t *testing.T, a *assessed, v Version) {
			a.report(t, v, why)
			a.tick()
			a.assess(t, v, "run", "fail")
		}, "by hand"},
		{"the report says nothing of it", func(t *testing.T, a *assessed, v Version) {
			a.assess(t, v, "run", "fail")
			a.report(t, v, map[string]string{"ipv6": "no route"})
		}, "by hand"},
		{"it has passed since", func(t *testing.T, a *assessed, v Version) {
			a.assess(t, v, "run", "pass")
			a.report(t, v, why)
		}, "by hand"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAssessed(t, 1)
			tt.do(t, a, a.versions[0])
			v, err := a.VersionStatus(t.Context(), a.versions[0].ID)
			if err != nil || len(v.Assessments) != 1 || v.Assessments[0].Why != tt.want {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
}

func TestTheLastReportIsKept(t *testing.T) {
	a := newAssessed(t, 1)
	id := a.versions[0].ID
	for _, doc := range []string{"first", "second"} {
		if err := a.PutReport(t.Context(), Report{VersionID: id, InstanceType: "vm", Verdict: "error", Reason: doc, Document: []byte(doc)}); err != nil {
			t.Fatal(err)
		}
	}
	a.report(t, a.versions[0], nil)
	all, err := a.Reports(t.Context(), id)
	if err != nil || len(all) != 2 {
		t.Fatalf("got %+v, %v", all, err)
	}
	if r := all[1]; r.InstanceType != "vm" || r.Verdict != "error" || r.Reason != "second" || string(r.Document) != "second" || !r.Posted.Equal(a.clock.t) {
		t.Errorf("got %+v", r)
	}
	if err := a.PutReport(t.Context(), Report{VersionID: 99, InstanceType: "vm"}); !isNotFound(err) {
		t.Errorf("of an unknown version: %v", err)
	}
	if err := a.PutReport(t.Context(), Report{VersionID: id, InstanceType: "virtual-machine"}); err == nil {
		t.Error("an instance type by LXD's name is kept")
	}
}

func TestHistoryIsInOrder(t *testing.T) {
	a := newAssessed(t, 1)
	v := a.versions[0]
	fire(t, a.Store, v, "test")
	a.tick()
	a.assess(t, v, "run")
	a.tick()
	a.assess(t, v, "pass")
	a.tick()
	fire(t, a.Store, v, "activate")
	all, err := a.History(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, strings.TrimSpace(e.Check+" "+e.InstanceType+" "+e.Name))
	}
	if want := "test, ipv4 container run, ipv4 container pass, activate"; strings.Join(got, ", ") != want {
		t.Errorf("got %s", strings.Join(got, ", "))
	}
}
