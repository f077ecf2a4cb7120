;; error3: answers with the error code internal-error instead of a response.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "request.drop" (func $request.drop (param i32)))
    (import "host" "return" (func $return (param i32 i32 i32 i64 i32 i32 i32 i32)))
    (func (export "handle") (param $request i32) (result i32)
      (call $request.drop (local.get $request))
      ;; result<own<response>, error-code>: case err, internal-error, and no text.
      (call $return (i32.const 1) (i32.const 38)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
