import { playShare } from './histories.js'

playShare(2, 2)
