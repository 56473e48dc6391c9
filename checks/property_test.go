package checks

import (
	"reflect"
	"strings"
	"testing"
)

// setProperty sets the matcher of a resource's property from JSON.
func setProperty(t *testing.T, r Resource, name, text string) {
	t.Helper()
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if m, ok := v.Field(i).Addr().Interface().(*Matcher); ok && tag == name {
			*m = want(t, Kind(field.Tag.Get("kind")), text)
			return
		}
	}
	t.Fatalf("%s has no property %s", v.Type(), name)
}

func TestEveryPropertyHasAKindAndAName(t *testing.T) {
	for _, typ := range Types() {
		v := reflect.TypeOf(typ.New()).Elem()
		properties := 0
		for i := range v.NumField() {
			field := v.Field(i)
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if tag == "" && !field.Anonymous && field.IsExported() {
				t.Errorf("%s.%s has no json tag", typ.Name, field.Name)
			}
			if field.Type == reflect.TypeFor[Matcher]() {
				properties++
				switch Kind(field.Tag.Get("kind")) {
				case Bool, Int, String, List, Text, Versions, Any, Time, Size:
				default:
					t.Errorf("%s.%s has the kind %q", typ.Name, tag, field.Tag.Get("kind"))
				}
			}
		}
		if properties == 0 {
			t.Errorf("%s has no property", typ.Name)
		}
	}
}

// checkProperty looks at one property; of the message, a part is given.
func checkProperty(t *testing.T, sys *System, typ, id, property, want string, v Verdict, message string) {
	t.Helper()
	t.Run(id+" "+property+" "+want, func(t *testing.T) {
		t.Helper()
		checkOne(t, evaluate(t, sys, typ, id, map[string]string{property: want}), property, v, message)
	})
}
