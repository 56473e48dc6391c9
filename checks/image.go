package checks

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Image is the image that the guest was made from, as its metadata, its server and
// its feed describe it.
type Image struct {
	Common
	OS           Matcher `json:"os,omitzero" kind:"string"`
	Release      Matcher `json:"release,omitzero" kind:"string"`
	Variant      Matcher `json:"variant,omitzero" kind:"string"`
	Serial       Matcher `json:"serial,omitzero" kind:"string"`
	Description  Matcher `json:"description,omitzero" kind:"string"`
	Architecture Matcher `json:"architecture,omitzero" kind:"string"`
	Fingerprint  Matcher `json:"fingerprint,omitzero" kind:"string"`
	Type         Matcher `json:"type,omitzero" kind:"string"`
	Size         Matcher `json:"size,omitzero" kind:"size"`
	Files        Matcher `json:"files,omitzero" kind:"list"`
	Age          Matcher `json:"age,omitzero" kind:"time"`
	Properties   Matcher `json:"properties,omitzero" kind:"any"`
	Agrees       Matcher `json:"agrees,omitzero" kind:"bool"`
}

// Evaluate compares what the host knows of the image. What the host does not know
// could not be found out.
func (i *Image) Evaluate(_ context.Context, sys *System) []Result {
	var r results
	if sys.Host.Image == nil {
		r.skipRest("nobody knows which image this is made from")
		i.compare(&r, sys, ImageFacts{})
		notHere(r.list)
		return r.list
	}
	i.compare(&r, sys, *sys.Host.Image)
	return r.list
}

func (i *Image) compare(r *results, sys *System, image ImageFacts) {
	property := func(name string, m Matcher) {
		if image.Properties == nil {
			r.find(name, m, known("", false, "metadata"))
			return
		}
		value, says := image.Properties[name]
		if !r.match(name, m, value) && !says && r.rest == "" {
			r.explain("the image's metadata does not say")
		}
	}
	property("os", i.OS)
	property("release", i.Release)
	property("variant", i.Variant)
	property("serial", i.Serial)
	property("description", i.Description)
	r.find("architecture", i.Architecture, known(image.Architecture, image.Architecture != "", "architecture"))
	r.find("fingerprint", i.Fingerprint, known(image.Fingerprint, image.Fingerprint != "", "fingerprint"))
	r.find("type", i.Type, known(image.Type, image.Type != "", "type"))
	r.find("size", i.Size, known(image.Size, image.Size > 0, "size"))
	r.find("files", i.Files, known(slices.Sorted(maps.Keys(image.Files)), image.Files != nil, "list of files"))
	r.find("age", i.Age, known(image.age(sys.Host.Time), !image.Created.IsZero(), "date"))
	r.find("properties", i.Properties, known(image.properties(), image.Properties != nil, "metadata"))
	why := ""
	r.find("agrees", i.Agrees, func() (any, error) {
		var err error
		why, err = disagreements(sys.FS, image)
		return why == "", err
	})
	if why != "" {
		r.explain(why)
	}
}

// known looks up what the host may not know.
func known(value any, is bool, what string) func() (any, error) {
	return func() (any, error) {
		if !is {
			return nil, inconclusivef("nobody knows the image's %s", what)
		}
		return value, nil
	}
}

// age is how many seconds ago the image was made, by the host's clock.
func (f ImageFacts) age(now time.Time) float64 {
	if now.IsZero() {
		now = time.Now()
	}
	return now.Sub(f.Created).Seconds()
}

func (f ImageFacts) properties() map[string]any {
	all := make(map[string]any, len(f.Properties))
	for name, value := range f.Properties {
		all[name] = value
	}
	return all
}

func (*Image) undescribed() []string {
	return []string{"age", "agrees", "description", "files", "fingerprint", "properties", "serial", "size"}
}
