import { expect, it } from 'vitest'
import { html, inlineJson } from './html.js'

it('escapes whatever is put into a template, and leaves markup as it is', () => {
  const hostile = `<b>&"'`
  expect(html`<p title="${hostile}">${hostile}${html`<i>${1}</i>`}</p>`.text).toBe(
    '<p title="&lt;b&gt;&amp;&quot;&#39;">&lt;b&gt;&amp;&quot;&#39;<i>1</i></p>',
  )
})

it('joins lists and leaves out what is not there', () => {
  expect(html`${['a', html`<br>`, ['<']]}${undefined}${false}${0}`.text).toBe('a<br>&lt;0')
})

it('writes JSON that cannot end its element or begin a comment', () => {
  const data = ['</script><script>', '<!--']
  const { text } = inlineJson(data)
  expect(text).not.toContain('<')
  expect(JSON.parse(text)).toEqual(data)
})
