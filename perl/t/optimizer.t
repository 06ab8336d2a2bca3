use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sgd_update _nag_update _adadelta_update _adamax_update _nadam_update _dcasgd_update));

# Each optimizer takes the steps that its formula, in Perl's own numbers, takes.

my @start = (0.7, -1.3, 2.1, 0.02);
my @grads = ([0.4, -2.2, 0.05, 1.5], [0.1, 0.9, -0.3, -1.1], [-0.6, 1.2, 0.8, 0.0]);
my ($lr, $wd, $rescale, $clip) = (0.05, 0.1, 0.5, 0.6);

sub clipped { my $x = shift; return $x > $clip ? $clip : $x < -$clip ? -$clip : $x }
sub decayed { my ($g, $w) = @_; return clipped($rescale * $g + $wd * $w) }

# name => [arguments, code from ($w, $g, $state, $t) to the new weight]
my %formula = (
    sgd => [
        [momentum => 0.9],
        sub {
            my ($w, $g, $s) = @_;
            $s->{m} = 0.9 * ($s->{m} // 0) - $lr * (clipped($rescale * $g) + $wd * $w);
            return $w + $s->{m};
        }
    ],
    nag => [
        [momentum => 0.9],
        sub {
            my ($w, $g, $s) = @_;
            $g = clipped($rescale * $g) + $wd * $w;
            $s->{m} = 0.9 * ($s->{m} // 0) + $g;
            return $w - $lr * ($g + 0.9 * $s->{m});
        }
    ],
    signum => [
        [momentum => 0.8, wd_lh => 0.2],
        sub {
            my ($w, $g, $s) = @_;
            $s->{m} = 0.8 * ($s->{m} // 0) - 0.2 * (clipped($rescale * $g) + $wd * $w);
            return (1 - $lr * 0.2) * $w + $lr * ($s->{m} <=> 0);
        }
    ],
    adam => [
        [beta1 => 0.8],
        sub {
            my ($w, $g, $s, $t) = @_;
            $g = decayed($g, $w);
            $s->{m} = 0.8 * ($s->{m} // 0) + 0.2 * $g;
            $s->{v} = 0.999 * ($s->{v} // 0) + 0.001 * $g**2;
            return $w - $lr * sqrt(1 - 0.999**$t) / (1 - 0.8**$t) * $s->{m} / (sqrt($s->{v}) + 1e-8);
        }
    ],
    adagrad => [
        [],
        sub {
            my ($w, $g, $s) = @_;
            $g = clipped($rescale * $g);
            $s->{h} += $g**2;
            return $w - $lr * ($g / sqrt($s->{h} + 1e-7) + $wd * $w);
        }
    ],
    adadelta => [
        [rho => 0.7, epsilon => 1e-3],
        sub {
            my ($w, $g, $s) = @_;
            $g = clipped($rescale * $g);
            $s->{g} = 0.7 * ($s->{g} // 0) + 0.3 * $g**2;
            my $d = sqrt(($s->{d} // 0) + 1e-3) / sqrt($s->{g} + 1e-3) * $g;
            $s->{d} = 0.7 * ($s->{d} // 0) + 0.3 * $d**2;
            return $w - $d - $wd * $w;
        }
    ],
    adamax => [
        [],
        sub {
            my ($w, $g, $s, $t) = @_;
            $g = decayed($g, $w);
            $s->{m} = 0.9 * ($s->{m} // 0) + 0.1 * $g;
            $s->{u} = 0.999 * ($s->{u} // 0);
            $s->{u} = abs $g if abs $g > $s->{u};
            return $w - $lr / (1 - 0.9**$t) * $s->{m} / $s->{u};
        }
    ],
    nadam => [
        [],
        sub {
            my ($w, $g, $s, $t) = @_;
            $g = decayed($g, $w);
            $s->{m} = 0.9 * ($s->{m} // 0) + 0.1 * $g;
            $s->{v} = 0.999 * ($s->{v} // 0) + 0.001 * $g**2;
            my ($now, $next) = map { 0.9 * (1 - 0.5 * 0.96**(0.004 * $_)) } $t, $t + 1;
            $s->{p} = ($s->{p} // 1) * $now;
            my $step = (1 - $now) * $g / (1 - $s->{p}) + $next * $s->{m} / (1 - $s->{p} * $next);
            return $w - $lr * $step / (sqrt($s->{v} / (1 - 0.999**$t)) + 1e-8);
        }
    ],
    rmsprop => [
        [gamma1 => 0.8],
        sub {
            my ($w, $g, $s) = @_;
            $g = decayed($g, $w);
            $s->{n} = 0.8 * ($s->{n} // 0) + 0.2 * $g**2;
            return $w - $lr * $g / sqrt($s->{n} + 1e-8);
        }
    ],
    ftrl => [
        [lamda1 => 0.02, beta => 1.5],
        sub {
            my ($w, $g, $s) = @_;
            $g = clipped($rescale * $g);
            my $n = $s->{n} // 0;
            $s->{z} += $g - (sqrt($n + $g**2) - sqrt $n) * $w / $lr;
            $s->{n} = $n + $g**2;
            return 0 if abs $s->{z} <= 0.02;
            return (($s->{z} <=> 0) * 0.02 - $s->{z}) / ((1.5 + sqrt $s->{n}) / $lr + $wd);
        }
    ],
    ftml => [
        [],
        sub {
            my ($w, $g, $s, $t) = @_;
            $g = decayed($g, $w);
            $s->{v} = 0.999 * ($s->{v} // 0) + 0.001 * $g**2;
            my $d = (1 - 0.6**$t) / $lr * (sqrt($s->{v} / (1 - 0.999**$t)) + 1e-8);
            $s->{z} = 0.6 * ($s->{z} // 0) + 0.4 * $g - ($d - 0.6 * ($s->{d} // 0)) * $w;
            $s->{d} = $d;
            return -$s->{z} / $d;
        }
    ],
    dcasgd => [
        [momentum => 0.9, lamda => 0.3],
        sub {
            my ($w, $g, $s) = @_;
            $g = clipped($rescale * $g);
            my $previous = $s->{w} // $w;
            $s->{m} = 0.9 * ($s->{m} // 0) - $lr * ($g + $wd * $w + 0.3 * $g**2 * ($w - $previous));
            $s->{w} = $w;
            return $w + $s->{m};
        }
    ],
);
my @common = (learning_rate => $lr, wd => $wd, rescale_grad => $rescale, clip_gradient => $clip);
for my $name (sort keys %formula) {
    my ($args, $code) = @{ $formula{$name} };
    my @w = @start;
    my @state = map { +{} } @w;
    for my $dtype (qw(float32 float64)) {
        my $optimizer = mx->optimizer->create($name, @common, @$args);
        my $weight = nd->array(\@start, dtype => $dtype);
        my $state = $optimizer->create_state(0, $weight);
        my @want = @start;
        my @memory = map { +{} } @want;
        for my $t (1 .. @grads) {
            my $grad = nd->array($grads[$t - 1], dtype => $dtype);
            $optimizer->update(0, $weight, $grad, $state);
            @want = map { $code->($want[$_], $grads[$t - 1][$_], $memory[$_], $t) } 0 .. $#want;
            is_close($grad, $grads[$t - 1], "$name $dtype: the gradient is left alone", 1e-7) if $t == 1;
        }
        is_close($weight, \@want, "$name $dtype", $name eq 'ftml' ? 1e-4 : 3e-6);
    }
}

# -- many weights in one call, as one after the other

for my $case ([sgd => momentum => 0.9], [sgd => ()], [adam => ()], [sgd => momentum => 0.9, multi_precision => 1]) {
    my ($name, @args) = @$case;
    my $dtype = grep({ $_ eq 'multi_precision' } @args) ? 'float16' : 'float32';
    my ($one, $all) = map { mx->optimizer->get_updater(mx->optimizer->create($name, @common, @args)) } 1, 2;
    my @shapes = ([3], [2, 2], [1], ([5]) x 300);
    my @a = map { nd->ones($_, dtype => $dtype) } @shapes;
    my @b = map { $_->copy } @a;
    for my $step (1, 2) {
        my @g = map { nd->ones($shapes[$_], dtype => $dtype) * (($_ % 7 - 3) / 8) } 0 .. $#shapes;
        $one->($_, $g[$_], $a[$_]) for 0 .. $#shapes;
        $all->([0 .. $#shapes], \@g, \@b);
    }
    my @off = grep { ($a[$_]->astype('float32') - $b[$_]->astype('float32'))->abs->max->asscalar > 1e-7 } 0 .. $#shapes;
    is("@off", '', "@$case: all at once");
    is($all->optimizer->num_update, 2, '... and counted');
}
ok(!eval { mx->optimizer->get_updater(mx->optimizer->SGD)->([0, 1], [nd->ones([1])], [nd->ones([1])]); 1 },
    'lists of different lengths');

# -- float16 with a float32 copy, by any optimizer

for my $name (qw(adam nag rmsprop sgd)) {
    my $updater = mx->optimizer->get_updater(
        mx->optimizer->create(
            $name,
            learning_rate => 1e-4,
            $name eq 'nag' ? (momentum => 0.5) : (), multi_precision => 1
        )
    );
    my $weight = nd->ones([2], dtype => 'float16');
    $updater->(0, nd->ones([2], dtype => 'float16'), $weight) for 1 .. 20;
    is($weight->dtype, 'float16', "$name: the weight stays float16");
    ok($weight->slice(0)->astype('float32')->asscalar < 1, "$name: steps below the spacing of float16 add up")
        if $name ne 'rmsprop';
}
{
    my @warned;
    local $SIG{__WARN__} = sub { push @warned, @_ };
    mx->optimizer->SGD->create_state(0, nd->ones([2], dtype => 'float16'));
    is(scalar @warned, 1, 'float16 without a copy warns');
    like($warned[0], qr/Accumulating with float16/, 'of accuracy');
}

# -- LBSGD

{
    local $AI::MXNet::Logging::silent = 1;
    my $optimizer =
        mx->optimizer->LBSGD(batch_scale => 2, learning_rate => 0.1, warmup_epochs => 1, updates_per_epoch => 4);
    my $w = nd->array([1, 2]);
    my $state = $optimizer->create_state(0, $w);
    $optimizer->update(0, $w, nd->array([1, 0]), $state);
    is_close($w, [1, 2], 'half of a large batch moves nothing');
    $optimizer->update(0, $w, nd->array([0, 1]), $state);
    is_close($w, [1 - 0.1 * 1.5 * 0.5, 2 - 0.1 * 1.5 * 0.5], 'the other half does, half way through the warm-up');
    my $lars = mx->optimizer->LBSGD(warmup_strategy => 'lars', learning_rate => 0.1);
    my $v = nd->array([3, 4]);
    $lars->update(0, $v, nd->array([0, 5]), undef);
    is_close($v, [3, 4 - 0.1 * 5], 'lars: the ratio of the norms');

    # The warm-up counts the updates of begin_epoch epochs before its own, not begin_num_update.
    my $later = mx->optimizer->LBSGD(
        batch_scale => 2,
        learning_rate => 1,
        warmup_epochs => 2,
        updates_per_epoch => 5,
        begin_epoch => 1,
        begin_num_update => 7
    );
    my $u = nd->zeros([1]);
    $later->update(0, $u, nd->ones([1]), undef);
    is_close($u, [-(1 + 6 / 10) / 2], 'resumed in the middle of a large batch and of the warm-up');
    $later->update(0, $u, nd->ones([1]), undef);
    is_close($u, [-0.8], 'the next batch is whole again');
}

# -- what is refused

dies_with(sub { mx->optimizer->create('nosuch') }, qr/Cannot find optimizer nosuch/, 'an unknown name');
ok(!eval { mx->optimizer->SGD(lr_scheduler => mx->init->Zero); 1 }, 'a scheduler of another class');
dies_with(
    sub { AI::MXNet::Optimizer->new->update(0, nd->ones([1]), nd->ones([1])) },
    qr/update is not implemented/,
    'the base class'
);
dies_with(sub { mx->optimizer->get_updater(mx->optimizer->SGD)->set_states('nonsense') }, qr/set_states/, 'bad bytes');
{

    package My::Descent;
    use Mouse;
    extends 'AI::MXNet::Optimizer';
}
{
    my @warned;
    local $SIG{__WARN__} = sub { push @warned, @_ };
    My::Descent->register;
    is(scalar @warned, 0, 'a new name is registered silently');
    My::Descent->register;
    is(
        $warned[0],
        "WARNING: New optimizer My::Descent.descentis overriding existing optimizer My::Descent.descent\n",
        'an old one with a warning'
    );
}

# -- many weights at once: the same numbers as one after another, the same counts, and subclasses are asked

for my $name (qw(sgd nag signum adam adagrad rmsprop adadelta ftrl ftml adamax nadam dcasgd)) {
    my @arg = (learning_rate => 0.03, wd => 0.1, rescale_grad => 0.5, clip_gradient => 0.7);
    push @arg, momentum => 0.9 if $name =~ /^(?:sgd|nag|dcasgd)$/;
    my (@results, @counts);
    for my $at_once (0, 1) {
        my $optimizer = mx->optimizer->create($name, @arg, param_idx2name => { 0 => 'a_weight', 1 => 'a_bias' });
        $optimizer->set_lr_mult({ a_bias => 2 });
        my $updater = mx->optimizer->get_updater($optimizer);
        my @weights = map { nd->array($_) } [0.7, -1.3, 2.1], [[0.4, 1], [2, 0.5]];
        for my $step (1 .. 3) {
            my @grads = map { nd->array($_) * $step } [0.2, -0.9, 3], [[-1, 0.3], [0.1, 2]];
            if ($at_once) { $updater->([0, 1], \@grads, \@weights) }
            else { $updater->($_, $grads[$_], $weights[$_]) for 0, 1 }
        }
        push @results, [map { $_->aspdl->list } @weights];
        push @counts, $optimizer->_index_update_count;
    }
    is_deeply($results[1], $results[0], "$name: two weights at once");
    is_deeply($counts[1], $counts[0], "$name: and counted alike");
}
{

    package My::Slow;
    use Mouse;
    extends 'AI::MXNet::SGD';
    has seen => (is => 'rw', default => 0);
    before update => sub { $_[0]->seen($_[0]->seen + 1) };
}
{
    my $optimizer = My::Slow->new(momentum => 0.9);
    mx->optimizer->get_updater($optimizer)->([0, 1], [map { nd->ones([2]) } 1, 2], [map { nd->ones([2]) } 1, 2]);
    is($optimizer->seen, 2, 'an update of one\'s own is asked for each weight');
    dies_with(
        sub { AI::MXNet::Keshi::update_each('sgd_update', { lr => 1 }, [[nd->ones([2]), nd->ones([3])], []]) },
        qr/sgd_update: /,
        'shapes that do not fit'
    );
    dies_with(
        sub { AI::MXNet::Keshi::update_each('sgd_update', {}, [[nd->ones([2])], [nosuch => 1]]) },
        qr/Cannot find argument 'nosuch'/,
        'a parameter that there is not'
    );
    dies_with(
        sub { AI::MXNet::Keshi::update_each('nosuch', {}, []) },
        qr/no operator nosuch/,
        'an operator that there is not'
    );
}

# -- states with the optimizer

{
    my $sgd = mx->optimizer->SGD(momentum => 0.9, learning_rate => 0.5);
    my $updater = mx->optimizer->get_updater($sgd);
    $updater->(3, nd->ones([2]), my $w = nd->zeros([2]));
    my $other = mx->optimizer->get_updater(mx->optimizer->SGD);
    $other->set_states($updater->get_states(dump_optimizer => 1));
    is($other->optimizer->lr, 0.5, 'dump_optimizer by name');
    is($other->optimizer->_index_update_count->{3}, 1, 'with its counts');
    $updater->(3, nd->ones([2], ctx => mx->cpu(1)), my $far = nd->zeros([2], ctx => mx->cpu(1)));
    $other->(3, nd->ones([2], ctx => mx->cpu(1)), my $elsewhere = nd->zeros([2], ctx => mx->cpu(1)));
    is($other->states->{3}->context, 'cpu(1)', 'a restored state moves to its weight');
}

# Many parameters in one call take the same steps as one by one.
{

    package OneByOne;
    use Mouse;
    extends 'AI::MXNet::SGD';
    sub update { my ($self, @args) = @_; return $self->SUPER::update(@args) }
    __PACKAGE__->register;
}

sub trained
{
    my ($optimizer, %with) = @_;
    mx->random->seed(11);
    my $net = mx->gluon->nn->HybridSequential(prefix => 'alike_');
    $net->name_scope(
        sub {
            $net->add($_) for map { mx->gluon->nn->Dense($_) } 3, 2;
        }
    );
    $net->initialize(mx->init->Xavier);
    my $x = mx->nd->array([[1, -2, 0.5], [0.25, 3, -1]]);
    $net->($x);
    my @params = $net->collect_params->values;
    $params[0]->lr_mult(3);
    $params[1]->wd_mult(0);
    my $trainer = mx->gluon->Trainer($net->collect_params, $optimizer, { learning_rate => 0.05, wd => 0.1, %with });
    for my $t (1 .. 4) {
        my $loss;
        mx->autograd->record(sub { $loss = ($net->($x)**2)->sum });
        $loss->backward;
        $trainer->set_learning_rate(0.02) if $t == 3;
        $trainer->step(2);
        $params[2]->wd_mult(0.5) if $t == 2;
    }
    return ([map { $_->data->aspdl->unpdl } @params], $trainer->{_optimizer}->num_update);
}

for my $with ([], [momentum => 0.9], [clip_gradient => 0.01], [momentum => 0.9, begin_num_update => 7]) {
    my ($weights, $count) = trained('sgd', @$with);
    my ($want, $steps) = trained('onebyone', @$with);
    is_deeply $weights, $want, "@$with: together as one by one";
    is $count, $steps, "@$with: and as many steps";
}

# What is unusual among many is left to the usual way.
{
    my $optimizer = mx->optimizer->create('sgd', learning_rate => 0.5, wd => 0);
    my @weights = map { mx->nd->ones([2]) } 1 .. 3;
    my @grads = map { mx->nd->array([$_, -$_]) } 1 .. 3;
    $optimizer->param_dict({ 0 => mx->gluon->Parameter('p', shape => [2], lr_mult => 2) });
    $optimizer->update_all([0 .. 2], \@weights, \@grads, [undef, undef, undef]);
    is_deeply [map { $_->aspdl->unpdl } @weights], [[0, 2], [0, 2], [-0.5, 2.5]], 'a parameter that only one has';
    $optimizer->param_dict({ map { $_ => mx->gluon->Parameter("p$_", shape => [2]) } 0 .. 2 });
    ok !eval { $optimizer->update_all([0 .. 2], \@weights, [@grads[0, 1], mx->nd->ones([3])], [(undef) x 3]); 1 },
        'a gradient of another shape';
    like $@, qr/sgd_update.*at \S+optimizer\.t line/s, 'is an error that says where';
}

done_testing;
