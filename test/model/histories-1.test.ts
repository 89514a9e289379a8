import { playShare } from './histories.js'

playShare(1, 2)
