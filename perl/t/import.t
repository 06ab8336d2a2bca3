use strict;
use warnings;
use Test::More;
use AI::MXNet qw(mx);

{

    package Elsewhere;
    sub made { return mx->nd->ones([2]) }
    sub bare { return nd->zeros([1, 3]) }
    sub flag { return autograd->is_recording }
}
is(Elsewhere::made() . '', '<AI::MXNet::NDArray 2 @cpu(0)>', 'mx is a class name in other packages');
is(Elsewhere::bare() . '', '<AI::MXNet::NDArray 1x3 @cpu(0)>', 'so is nd');
is(Elsewhere::flag(), 0, 'so is autograd');
is(ref nd->ones([1]), 'AI::MXNet::NDArray', 'what nd makes is of the class itself');
is(join(',', @{ nd->ones([4])->nd::reshape([2, 2])->shape }), '2,2', 'a method by its name in nd');
ok(nd->isa('AI::MXNet::NDArray'), 'nd inherits');

is(\$mx::Context, \$AI::MXNet::Context, 'variables are the same under both names');
{
    local $mx::Context = mx->cpu(3);
    is(nd->zeros([2])->context . '', 'cpu(3)', 'local $mx::Context takes effect');
}
is(nd->zeros([2])->context . '', 'cpu(0)', 'and ends');

my %names = (
    nd => 'NDArray',
    sym => 'Symbol',
    init => 'Initializer',
    opt => 'Optimizer',
    kv => 'KVStore',
    io => 'IO',
    mod => 'Module',
    rnn => 'RNN',
    viz => 'Visualization',
    img => 'Image',
    rnd => 'Random',
    gluon => 'Gluon'
);
is(mx->$_, "AI::MXNet::$names{$_}", "mx->$_") for sort keys %names;
is(mx->nd->random, 'AI::MXNet::Random', 'nd->random');
is(mx->nd->linalg, 'AI::MXNet::LinAlg::NDArray', 'nd->linalg');
is(mx->name, 'AI::MXNet', 'mx->name');
is(mx->cpu(2) . '', 'cpu(2)', 'mx->cpu');
is(ref mx->Context('gpu'), 'AI::MXNet::Context', 'mx->Context makes one');
is(AI::MXNet::Context->new('cpu') . '', 'cpu(0)', 'and the class of that name is still there');
is(scalar(my @tuples = AI::MXNet::zip([1], [2])), 1, 'helpers are subs of AI::MXNet');

{

    package Several;
    use AI::MXNet qw(first second);
    main::is(first(1, 2), 'AI::MXNet', 'several names at once');
    main::is(second()->cpu(1) . '', 'cpu(1)', 'all of them');
}
{
    no strict 'refs';
    ok(!%{'main::first::'}, 'several names make no aliases');
}
{

    package Own;
    use AI::MXNet::NDArray 'array_class';
    use AI::MXNet::Random qw(-dice);
    main::is(array_class(), 'AI::MXNet::NDArray', 'a class under a name of one\'s own');
    main::is(dice(), 'AI::MXNet::Random', 'odd characters of a name are dropped');
}

my @warned;
my $ok = eval {
    local $SIG{__WARN__} = sub { push @warned, @_ };
    mx->no_such_thing;
    1;
};
ok(!$ok, 'an unknown name dies');
like("@warned", qr/^Can't locate object method "no_such_thing" via package "AI::MXNet"$/, 'and warns');
like($@, qr/Can't locate object method "no_such_thing" via package "AI::MXNet" at \Q${\__FILE__}\E/, 'and says which');
ok(!eval { nd->contrib->nosuchop(1) }, 'an unknown operator of a namespace dies');
like($@, qr/"nosuchop" via package "AI::MXNet::Contrib::NDArray" at \Q${\__FILE__}\E/, 'and says which');
ok(!nd->contrib->can('nosuchop'), 'can says no');

done_testing;
