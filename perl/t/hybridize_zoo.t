use strict;
use warnings;
use Test::More;
use POSIX ();
use lib 't/lib';
use Near;
use Zoo;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use AI::MXNet::AutoGrad qw(autograd);

# Every family of the model zoo computes the same compiled as call by call: outputs, and what a training step leaves behind.

needs_operators(qw(FullyConnected Convolution Pooling BatchNorm Dropout Concat clip));

my $ulp = 2**-23;

# -- memory, in processes of their own, before this one has any

sub memory
{
    my $field = shift;
    open my $in, '<', '/proc/self/status' or return 0;
    my ($kb) = map { /^$field:\s*(\d+)/ ? $1 : () } <$in>;
    return $kb // 0;
}

# By how many MB ResNet-50 on 8 pictures grows at most: in its first call, in a later one.
sub growth
{
    my $is_compiled = shift;
    my $pid = open(my $child, '-|') // die "fork: $!";
    return split ' ', scalar readline $child if $pid;
    my $net = mx->gluon->model_zoo->vision->resnet50_v1;
    $net->initialize;
    $net->(mx->nd->ones([1, 3, 32, 32]))->wait_to_read;
    $net->hybridize($is_compiled, static_alloc => 1, static_shape => 1);
    my $x = mx->nd->ones([8, 3, 224, 224]);
    my $before = memory('VmRSS');

    for (1 .. 2) {
        if (open my $reset, '>', '/proc/self/clear_refs') { print {$reset} 5; close $reset }
        $net->($x)->wait_to_read;
        printf '%.0f ', (memory('VmHWM') - $before) / 1024;
    }
    print "\n";
    STDOUT->flush;
    POSIX::_exit(0);
}

{
    my ($plain, $compiled) = map { [growth($_)] } 0, 1;
    is(scalar(grep { $_ > 0 } @$plain, @$compiled), 4, 'memory is measured') if memory('VmHWM');
    diag sprintf 'ResNet-50, batch 8: %d MB call by call; compiled %d MB (%.0f %%), %d MB while it compiles',
        $plain->[1],
        $compiled->[1], 100 * $compiled->[1] / $plain->[1], $compiled->[0];
}

# -- numbers

# Gradients and running statistics after one step; the random numbers are the same in each.
sub trained
{
    my ($net, $x) = @_;
    mx->random->seed(5);
    my $loss = gluon->loss->SoftmaxCELoss;
    my $l;
    autograd->record(sub { $l = $loss->($net->($x), mx->nd->array([3, 7])) });
    $l->backward;
    return { map { $_->name => $_->grad_req eq 'null' ? $_->data->copy : $_->grad->copy }
            $net->collect_params->values };
}

mx->random->seed(21);
for my $name (families()) {
    my ($net, $x) = (network($name), picture($name, 2));
    my %start = map { $_->name => $_->data->copy } $net->collect_params->values;
    my $restart = sub { $_->set_data($start{ $_->name }) for $net->collect_params->values };
    my $plain = $net->($x)->copy;
    my $step = trained($net, $x);
    $restart->();
    $net->hybridize(1, static_alloc => 1, static_shape => 1);
    my $fused = $net->($x)->copy;
    my $report = $net->{_cached_op}->report;
    cmp_ok($report->{planned}, '<', $report->{unplanned}, "$name: compiled");
    my $compiled = trained($net, $x);
    my @off = grep { ($compiled->{$_} - $step->{$_})->abs->max->asscalar != 0 } sort keys %$step;
    is("@off", '', "$name: a training step's gradients and statistics are the same to the last bit");

# With normalization folded into convolutions it rounds differently. The linear bottlenecks of MobileNet v2 cancel most: there
# the calls one by one are 30 ulp from the truth as well.
    $restart->();
    $net->hybridize(0);
    $net->cast('float64');
    my $exact = $net->($x->astype('float64'));
    my ($of_plain, $of_fused) = map { off_by($_->astype('float64'), $exact) / $ulp } $plain, $fused;
    my $apart = off_by($fused, $plain) / $ulp;
    cmp_ok($of_fused, '<=', 2 * $of_plain + 4, "$name: as near to float64 as call by call");
    cmp_ok($apart, '<=', $name =~ /^mobilenetv2/ ? 64 : 16, "$name: outputs within a few ulp of the largest");
}

done_testing;
