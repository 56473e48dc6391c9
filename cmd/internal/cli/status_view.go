package cli

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// statuses are what icepak status shows, by product and then with the newest version
// first.
type statuses struct {
	channels, states bool // are known
	products         []*productStatus
}

type productStatus struct {
	Product  string           `json:"product"`
	Versions []*versionStatus `json:"versions"`
}

type versionStatus struct {
	Serial   string         `json:"serial"`
	State    string         `json:"state,omitempty"`
	Created  *time.Time     `json:"created_at,omitempty"`
	Channels []string       `json:"channels,omitempty"`
	Types    []string       `json:"types"` // LXD's names
	Checks   []checkStatus  `json:"checks,omitempty"`
	Reports  []reportStatus `json:"reports,omitempty"`
}

type checkStatus struct {
	Check   string    `json:"check"`
	Type    string    `json:"type"`
	State   string    `json:"state"`
	Updated time.Time `json:"updated_at"`
	Why     string    `json:"why,omitempty"`
}

// reportStatus is what the last run on the version as the type came to.
type reportStatus struct {
	Type    string    `json:"type"`
	Verdict string    `json:"verdict"`
	Posted  time.Time `json:"posted_at"`
}

// product returns the product of that key, and makes it where there is none.
func (s *statuses) product(key string) *productStatus {
	i, ok := slices.BinarySearchFunc(s.products, key, func(p *productStatus, key string) int { return cmp.Compare(p.Product, key) })
	if !ok {
		s.products = slices.Insert(s.products, i, &productStatus{Product: key, Versions: []*versionStatus{}})
	}
	return s.products[i]
}

// version returns the version of that serial, and makes it where there is none.
func (p *productStatus) version(serial string) *versionStatus {
	for _, v := range p.Versions {
		if v.Serial == serial {
			return v
		}
	}
	v := &versionStatus{Serial: serial, Types: []string{}}
	p.Versions = append(p.Versions, v)
	return v
}

func (v *versionStatus) addType(typ string) {
	if !slices.Contains(v.Types, typ) {
		v.Types = append(v.Types, typ)
		slices.Sort(v.Types)
	}
}

// addFeed adds what is in a channel of the product, or of all where key is empty.
func (s *statuses) addFeed(c channel, key string) {
	for _, k := range slices.Sorted(maps.Keys(c.feed.Products)) {
		if key != "" && k != key {
			continue
		}
		p := s.product(k)
		for serial := range c.feed.Products[k].Versions {
			v := p.version(serial)
			v.Channels = append(v.Channels, c.name)
			for _, typ := range c.feed.Types(k, serial) {
				v.addType(typ)
			}
		}
		slices.SortFunc(p.Versions, func(a, b *versionStatus) int { return cmp.Compare(b.Serial, a.Serial) })
	}
}

// addPolar adds what Polar tells. Its order of versions is that of their making, which
// serials only mostly are; what it does not know comes last.
func (s *statuses) addPolar(products []polar.ProductStatus) {
	s.states = true
	for _, told := range products {
		p := s.product(told.Product)
		var versions []*versionStatus
		for _, t := range told.Versions {
			v := p.version(t.Serial)
			v.State, v.Created = t.State, &t.Created
			for _, a := range t.Assessments {
				v.addType(lxdType(a.InstanceType))
				v.Checks = append(v.Checks, checkStatus{a.Check, lxdType(a.InstanceType), a.State, a.Updated, a.Why})
			}
			for _, r := range t.Reports {
				v.addType(lxdType(r.InstanceType))
				v.Reports = append(v.Reports, reportStatus{lxdType(r.InstanceType), r.Verdict, r.Posted})
			}
			versions = append(versions, v)
		}
		for _, v := range p.Versions {
			if !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
		p.Versions = versions
	}
}

// lxdType is LXD's name for an instance type of Polar's.
func lxdType(instanceType string) string {
	if instanceType == polar.VM {
		return simplestreams.VirtualMachine
	}
	return instanceType
}

// table has a row for each version as each type, and a column for each check.
func (s *statuses) table() table {
	columns := s.checks()
	head := []any{"PRODUCT", "SERIAL"}
	if s.states {
		head = append(head, "STATE")
	}
	if s.channels {
		head = append(head, "CHANNEL")
	}
	head = append(head, "TYPE")
	for _, c := range columns {
		head = append(head, c)
	}
	t := table{head}
	for _, p := range s.products {
		for _, v := range p.Versions {
			types := v.Types
			if len(types) == 0 {
				types = []string{"-"}
			}
			for _, typ := range types {
				row := []any{p.Product, v.Serial}
				if s.states {
					row = append(row, cmp.Or(v.State, "-"))
				}
				if s.channels {
					row = append(row, cmp.Or(strings.Join(v.Channels, ","), "-"))
				}
				row = append(row, typ)
				for _, c := range columns {
					row = append(row, v.stateOf(c, typ))
				}
				t.add(row...)
			}
		}
	}
	return t
}

// checks returns the checks that any version has, in Polar's order.
func (s *statuses) checks() []string {
	var names []string
	for _, p := range s.products {
		for _, v := range p.Versions {
			for _, c := range v.Checks {
				if !slices.Contains(names, c.Check) {
					names = append(names, c.Check)
				}
			}
		}
	}
	return names
}

func (v *versionStatus) stateOf(check, typ string) string {
	for _, c := range v.Checks {
		if c.Check == check && c.Type == typ {
			return c.State
		}
	}
	return "-"
}

// reasons lists why checks failed, where somebody said it.
func (s *statuses) reasons() table {
	var t table
	for _, p := range s.products {
		for _, v := range p.Versions {
			for _, c := range v.Checks {
				if c.State == polar.Failed && c.Why != "" {
					t.add(v.Serial, c.Type, c.Check, c.Why)
				}
			}
		}
	}
	return t
}
