package checks

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A Type describes a resource type.
type Type struct {
	Name string
	// Single types stand in a section without ids, such as nvidia-smi.
	Single bool
	// New returns an empty resource, a pointer to a struct whose fields are the
	// type's attributes. A field's json tag names the attribute. A field of type
	// Matcher is a property; its kind tag (see Kind) says what it is compared
	// with, and a text tag names the attribute that makes that a Text where it is
	// true. A was tag lists older names, required:"true" marks what must be given,
	// and asserts:"true" an action such as install, which is a property although
	// it has no matcher.
	New func() Resource
}

// Types returns every resource type, sorted by name. A new type is one line
// here and one file.
func Types() []Type {
	return []Type{
		{Name: "accounts", Single: true, New: func() Resource { return new(Accounts) }},
		{Name: "addr", New: func() Resource { return new(Addr) }},
		{Name: "amd-smi", Single: true, New: func() Resource { return new(AMDSMI) }},
		{Name: "boot", Single: true, New: func() Resource { return new(Boot) }},
		{Name: "clock", Single: true, New: func() Resource { return new(Clock) }},
		{Name: "command", New: func() Resource { return new(CommandResource) }},
		{Name: "dns", New: func() Resource { return new(DNS) }},
		{Name: "file", New: func() Resource { return new(File) }},
		{Name: "find", New: func() Resource { return new(FindResource) }},
		{Name: "group", New: func() Resource { return new(Group) }},
		{Name: "http", New: func() Resource { return new(HTTP) }},
		{Name: "image", Single: true, New: func() Resource { return new(Image) }},
		{Name: "interface", New: func() Resource { return new(Interface) }},
		{Name: "kernel-param", New: func() Resource { return new(KernelParam) }},
		{Name: "matching", New: func() Resource { return new(Matching) }},
		{Name: "mount", New: func() Resource { return new(Mount) }},
		{Name: "network", New: func() Resource { return new(Network) }},
		{Name: "nvidia-smi", Single: true, New: func() Resource { return new(NvidiaSMI) }},
		{Name: "package", New: func() Resource { return new(Package) }},
		{Name: "port", New: func() Resource { return new(Port) }},
		{Name: "process", New: func() Resource { return new(Process) }},
		{Name: "rocm-smi", Single: true, New: func() Resource { return new(ROCmSMI) }},
		{Name: "service", New: func() Resource { return new(Service) }},
		{Name: "user", New: func() Resource { return new(User) }},
	}
}

// TypeNamed returns the resource type of that name.
func TypeNamed(name string) (Type, bool) {
	for _, t := range Types() {
		if t.Name == name {
			return t, true
		}
	}
	return Type{}, false
}

// An Item is a resource in its place: its type, its id, and where in the spec
// it and its properties stand (file:line:col).
type Item struct {
	Type     string
	ID       string
	Source   string
	Sources  map[string]string // by property
	Resource Resource
	// Known are the results, where the item was looked at beforehand.
	Known []Result
}

// NewItem returns an item with an empty resource of the type.
func NewItem(typ, id string) (Item, error) {
	t, ok := TypeNamed(typ)
	if !ok {
		return Item{}, fmt.Errorf("unknown resource type %q", typ)
	}
	r := t.New()
	r.common().Key = id
	return Item{Type: typ, ID: id, Resource: r}, nil
}

// itemJSON is an item on the wire between host and probe.
type itemJSON struct {
	Type     string            `json:"type"`
	ID       string            `json:"id"`
	Source   string            `json:"source,omitempty"`
	Sources  map[string]string `json:"sources,omitempty"`
	Resource json.RawMessage   `json:"resource"`
	Known    []Result          `json:"known,omitempty"`
}

// MarshalJSON writes the item so that UnmarshalJSON gives an equal one.
func (it Item) MarshalJSON() ([]byte, error) {
	raw, err := json.Marshal(it.Resource)
	if err != nil {
		return nil, err
	}
	return json.Marshal(itemJSON{it.Type, it.ID, it.Source, it.Sources, raw, it.Known})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (it *Item) UnmarshalJSON(data []byte) error {
	var w itemJSON
	if err := unmarshalKnown(data, &w); err != nil {
		return err
	}
	item, err := NewItem(w.Type, w.ID)
	if err != nil {
		return err
	}
	if len(w.Resource) == 0 {
		return fmt.Errorf("%s %s: there is nothing to look at", w.Type, w.ID)
	}
	if err := unmarshalKnown(w.Resource, item.Resource); err != nil {
		return fmt.Errorf("%s %s: %w", w.Type, w.ID, err)
	}
	item.Source, item.Sources, item.Known = w.Source, w.Sources, w.Known
	*it = item
	return nil
}

// unmarshalKnown refuses keys that v does not have: a property that is dropped
// without a word, by a probe older than its host, would count as passed.
func unmarshalKnown(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber() // whole numbers stay what they are
	return dec.Decode(v)
}
