;; silent3: ends without having returned a response.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "request.drop" (func $request.drop (param i32)))
    (func (export "handle") (param $request i32) (result i32)
      (call $request.drop (local.get $request))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
