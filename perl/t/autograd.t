use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sum _full));

sub variable { my $x = nd->array($_[0]); $x->attach_grad; return $x }

my $x = variable([[1, 2], [3, 4]]);
my $y;
autograd->record(sub { $y = $x * $x * 2 + $x });
$y->backward;
is_close($x->grad, [5, 9, 13, 17], 'the gradient');
autograd->record(sub { $y = ($x * 3)->sum });
$y->backward;
is_close($x->grad, [(3) x 4], 'written anew');
autograd->record(sub { $y = $x * $x });
$y->backward(out_grad => nd->array([[1, 0], [10, 0.5]]));
is_close($x->grad, [2, 0, 60, 4], 'with out_grad');
ok(!defined nd->ones([1])->grad, 'no gradient where none is attached');
ok(!defined $y->grad, 'nor of a result');

my $sum = variable([1, 2]);
$sum->attach_grad(grad_req => 'add');
for (1 .. 3) {
    autograd->record(sub { $y = $sum * $sum });
    $y->backward;
}
is_close($sum->grad, [6, 12], 'grad_req add');

# -- modes

sub flags { return autograd->is_recording . autograd->is_training }
my @seen;
is(flags(), '00', 'outside');
autograd->record(
    sub {
        push @seen, flags();
        autograd->pause(sub { push @seen, flags() });
        autograd->pause(sub { push @seen, flags() }, train_mode => 1);
        autograd->predict_mode(sub { push @seen, flags() });
        autograd->record(sub { push @seen, flags() }, train_mode => 0);
        push @seen, flags();
    }
);
is("@seen", '11 00 01 10 10 11', 'record, pause, predict_mode');
autograd->train_mode(sub { is(flags(), '01', 'train_mode') });
for my $how (qw(record pause train_mode predict_mode)) {
    ok(
        !eval {
            autograd->$how(sub { die { reason => $how } });
            1;
        },
        "$how passes on a die"
    );
    is(ref $@ && $@->{reason}, $how, 'with the error as it was');
    is(flags(), '00', 'and puts the modes back');
}
LAST:
{
    no warnings 'exiting';
    ok(
        !eval {
            autograd->record(sub { last LAST });
            1;
        },
        'the sub cannot be left by last'
    );
}
is(flags(), '00', 'which puts them back too');
is(autograd->set_is_recording(1), 0, 'set_is_recording returns what was');
is(autograd->set_is_recording(0), 1, 'again');
ok(!defined autograd->record(sub { $x }), 'record returns nothing');
dies_with(sub { autograd->record('sub') }, qr/record: got 'sub', want a sub/, 'record of text');
dies_with(
    sub {
        autograd->record(sub { }, training => 1);
    },
    qr/record: no such named argument 'training'/,
    'a bad name'
);

# -- heads and variables

my ($u, $v) = (variable([1, 2]), variable([3, 4]));
my $z;
my $both = sub {
    autograd->record(sub { $y = $u * 2; $z = $u * $v });
};
$both->();
autograd->backward([$y, $z]);
is_close($u->grad, [5, 6], 'two heads');
$both->();
autograd->backward([$y, $z], head_grads => [nd->array([10, 20]), undef]);
is_close($u->grad, [23, 44], 'head gradients, one of them ones');
$both->();
dies_with(sub { autograd->backward([$y, $z], head_grads => [nd->ones([2])]) },
    qr/heads and head_grads must be lists of the same length, got 2 and 1/, 'lengths');
my $g = autograd->grad($z, $u, retain_graph => 1);
is_close($g, [3, 4], 'grad of one variable');
$g = autograd->grad($z, [$u, $v]);
is_close($g->[1], [1, 2], 'of several');
dies_with(sub { autograd->grad($z, []) }, qr/grad: variables cannot be an empty array/, 'of none');
$both->();
dies_with(sub { autograd->grad($y, $v) }, qr/./, 'of one that was not reached');
$both->();
$z->backward(retain_graph => 1);
$z->backward;
dies_with(sub { $z->backward }, qr/./, 'a backward too many');
dies_with(sub { ($u * 2)->backward }, qr/./, 'of what was not recorded');
dies_with(sub { $z->backward(1) }, qr/backward: got 1 arguments after/, 'a positional argument');
dies_with(
    sub { $u->attach_grad(grad_req => 'sum') },
    qr/attach_grad: grad_req got 'sum', want write, add or null/,
    'a request'
);

my ($p, $gp) = (nd->array([2, 3]), nd->zeros([2]));
autograd->mark_variables([$p], [$gp]);
autograd->record(sub { $y = $p * $p });
$y->backward;
is_close($gp, [4, 6], 'mark_variables');
dies_with(sub { autograd->mark_variables([$p], []) }, qr/got 1 variables and 0 gradients/, 'of unequal lists');

# -- second order

my $w = variable([0.4, 0.9]);
my $slope;
autograd->record(sub { $slope = autograd->grad($w->exp, $w, create_graph => 1) });
$slope->backward;
is_close($w->grad, [exp 0.4, exp 0.9], 'a gradient of a gradient');

# -- what the tape follows

autograd->record(sub { $y = nd->array($x->slice('0')) * 3 });
$y->backward;
is_close($x->grad, [3, 3, 0, 0], 'slice and nd->array');
autograd->record(sub { $y = $x->at(1)->reshape([2, 1]) * 5 });
$y->backward;
is_close($x->grad, [0, 0, 5, 5], 'at and reshape');
autograd->record(sub { $y = $x->[1] * 7 });
$y->backward;
is_close($x->grad, [0, 0, 7, 7], 'the rows of @$x');
autograd->record(sub { $y = $x->slice([0, 1], 1)**2 });
$y->backward;
is_close($x->grad, [0, 4, 0, 8], 'a region');
autograd->record(sub { $y = $x->detach * $x });
$y->backward;
is_close($x->grad, [1 .. 4], 'detach cuts');
autograd->record(sub { my $fresh = nd->zeros([2, 2]); $fresh .= $x * 6; $y = $fresh * 2 });
$y->backward;
is_close($x->grad, [(12) x 4], 'into a fresh array');

for my $case (['+=' => sub { $x += 1 }], ['.=' => sub { $x .= 1 }], [out => sub { nd->exp($x, out => $x) }]) {
    ok(!eval { autograd->record($case->[1]); 1 }, "$case->[0] on a variable is refused while recording");
    like($@, qr/ at \Q${\__FILE__}\E line \d+\./, 'at the line of the script');
}
is(flags(), '00', 'recording has ended');

# -- grad_and_loss

my ($grads, $loss) = autograd->grad_and_loss(sub { $_[0] * $_[1] + $_[0] })->(nd->array([2, 3]), nd->array([5, 7]));
is_close($grads->[0], [6, 8], 'grad_and_loss: for the first');
is_close($grads->[1], [2, 3], 'for the second');
is_close($loss, [12, 24], 'the value');
dies_with(
    sub {
        autograd->grad_and_loss(sub { $_[0] * 2 })->(3);
    },
    qr/type of autograd input should NDArray, got 3/,
    'a number'
);

# -- gradcheck

is(autograd->gradcheck(sub { $_[0]->exp * $_[1] }, [nd->array([1, 2]), nd->array([3])]),
    3, 'gradcheck compares every element');
my $closed = nd->array([0.3, 0.7], dtype => 'float64');
ok(autograd->gradcheck(sub { $closed * $closed }, $closed), 'an array of float64 may be seen through a closure');
is_close($closed, [0.3, 0.7], 'and is as before');
dies_with(
    sub {
        autograd->gradcheck(sub { $_[0] * $_[0]->detach }, [nd->array([[1, 2]])]);
    },
    qr/gradcheck: 2 of 2 elements differ.*input 0, element \[0,0\]: analytic [\d.]+, numeric [\d.]+/s,
    'a wrong gradient'
);
my $report = autograd->gradcheck(sub { $_[0] * $_[0]->detach }, [nd->array([[1, 2]])], report => 1);
is_deeply([map { $_->{element} } @$report], ['[0,0]', '[0,1]'], 'as a report');

# -- large gradients: the buffer takes their memory, which nobody else may notice

{
    my $n = 5000;
    my ($a, $b) = map { mx->nd->ones([$n]) } 1, 2;
    $_->attach_grad for $a, $b;
    my ($grad, $view) = ($a->grad, $a->grad->reshape([50, 100]));
    my $all = sub { my ($array, $value, $what) = @_; is_close($array, [($value) x $n], $what) };
    for my $factor (3, 5) {
        autograd->record(sub { $y = $a * $factor });
        $y->backward;
        $all->($_, $factor, "times $factor: an array of the gradient") for $grad, $view, $a->grad;
    }
    my $head = mx->nd->full([$n], 2);
    autograd->record(sub { $y = $a + $b });
    $y->backward(out_grad => $head);
    $_ += 1 for $a->grad, $b->grad;
    $all->($head, 2, 'a gradient that is passed on stays the caller\'s');
    $all->($_->grad, 3, 'and each has its own') for $a, $b;
    my $address = $a->grad->pdl_view;
    autograd->record(sub { $y = $a * 7 });
    $y->backward;
    is_deeply(
        [$address->slice('0:1')->list, $address->at($n - 1)],
        [7, 7, 7],
        'whoever has the address sees the values'
    );
    $address .= 9;
    $all->($a->grad, 9, 'and writes to the gradient');
    my $both = mx->nd->ones([$n]);
    $both->attach_grad;
    autograd->record(sub { $y = $both * $both->grad + $both });
    $y->backward;
    $all->($both->grad, 1, 'a gradient that was in the graph');
    autograd->record(sub { $y = $both * $both->grad });
    $y->backward(retain_graph => 1);
    $all->($both->grad, 1, 'as it was when it was recorded');
    dies_with(sub { $y->backward }, qr/changed|in place|version/i, 'and not as it is now');
}

# -- fresh gradients, deep graphs

my $fresh = variable([1]);
autograd->record(sub { $y = $fresh * 2 });
$y->backward;
is($fresh->_fresh_grad, 1, '_fresh_grad after a backward');
is($fresh->_fresh_grad(0), 0, 'put down');
my $deep = variable([1]);
autograd->record(sub { $y = $deep; $y = $y * 1.0000001 for 1 .. 100_000 });
$y->backward;
is_close($deep->grad, [1.01], 'a hundred thousand operators', 1e-2);

done_testing;
