package checks

import (
	"maps"
	"reflect"
	"strings"
)

// Repeated returns what of the check is evaluated again after a reboot: not what was
// looked at beforehand, and no action, such as install. What they did has to
// hold by itself then.
func (c Check) Repeated() Check {
	items := c.Items
	c.Items = nil
	for _, it := range items {
		if it.Known != nil {
			continue
		}
		if again, asserts := it.withoutActions(); asserts {
			c.Items = append(c.Items, again)
		}
	}
	return c
}

// withoutActions returns the item with nothing to do, and whether there is still
// something to look at.
func (it Item) withoutActions() (again Item, asserts bool) {
	old := reflect.ValueOf(it.Resource).Elem()
	resource := reflect.New(old.Type())
	v := resource.Elem()
	v.Set(old)
	it.Sources = maps.Clone(it.Sources)
	acts := false
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		field := v.FieldByIndex(f.Index)
		switch {
		case f.Tag.Get("asserts") == "true":
			acts = acts || !field.IsZero()
			field.SetZero()
			delete(it.Sources, name)
		case f.Type == reflect.TypeFor[Matcher]():
			asserts = asserts || !field.IsZero()
		}
	}
	it.Resource = resource.Interface().(Resource)
	return it, asserts || !acts
}
