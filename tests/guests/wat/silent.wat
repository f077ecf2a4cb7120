;; silent: returns without setting a response.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (func (export "handle") (param $request i32) (param $out i32)))
  ;; include start.wat
  ;; include export.wat
)
