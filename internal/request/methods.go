package request

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// RefuseOtherMethods answers the methods that a path of the router has not with what refuse makes
// of those that it has. Call it behind the last route: mux's own answer lacks the Allow that 405
// must have (RFC 9110 §15.5.6).
func RefuseOtherMethods(router *mux.Router, refuse func(allow string) http.Handler) {
	allowed := map[string][]string{}
	var paths []string // as the router has them: the first that fits is taken, and {id} also fits "new"
	err := router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if slices.Contains(methods, http.MethodGet) {
			methods = append(methods, http.MethodHead)
		}
		if _, seen := allowed[path]; !seen {
			paths = append(paths, path)
		}
		allowed[path] = append(allowed[path], methods...)
		return err
	})
	if err != nil {
		panic(err) // every route of ours has a path and methods
	}
	for _, path := range paths {
		methods := allowed[path]
		slices.Sort(methods)
		router.Handle(path, refuse(strings.Join(slices.Compact(methods), ", ")))
	}
}
