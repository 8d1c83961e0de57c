package state

import (
	"reflect"
	"unsafe"
)

// maxStrings is how many strings a type may hold to be kept decoded: each is looked at when a value is counted.
const maxStrings = 32

// flatType tells whether values of a type hold no pointers other than strings, and where these are. Such values can be kept
// as they are: nothing that a function does to its copy reaches the one in the store.
func flatType(t reflect.Type) (strs []uintptr, flat bool) {
	strs, flat = flatAt(t, 0, nil)
	return strs, flat && len(strs) <= maxStrings
}

func flatAt(t reflect.Type, at uintptr, strs []uintptr) ([]uintptr, bool) {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return strs, true
	case reflect.String:
		return append(strs, at), true
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			var ok bool
			if strs, ok = flatAt(f.Type, at+f.Offset, strs); !ok {
				return nil, false
			}
		}
		return strs, true
	case reflect.Array:
		return flatArray(t, at, strs)
	}
	return nil, false
}

// flatArray walks the elements of an array until it is clear that there are none with strings, or too many.
func flatArray(t reflect.Type, at uintptr, strs []uintptr) ([]uintptr, bool) {
	for i := range t.Len() {
		n := len(strs)
		var ok bool
		if strs, ok = flatAt(t.Elem(), at+uintptr(i)*t.Elem().Size(), strs); !ok {
			return nil, false
		}
		if len(strs) == n {
			return strs, true
		}
		if len(strs) > maxStrings {
			return nil, false
		}
	}
	return strs, true
}

// stringBytes adds up the lengths of the strings that a value holds.
func stringBytes[X any](x *X, strs []uintptr) (n int) {
	for _, at := range strs {
		n += len(*(*string)(unsafe.Add(unsafe.Pointer(x), at)))
	}
	return n
}
